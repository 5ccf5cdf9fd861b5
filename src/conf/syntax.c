#include "conf/syntax.h"

enum { PATH_MAX_LEN = 200, DEPTH_MAX = 4, TEXT_MAX = 1 << 20 };

struct syntax {
    const char *p, *end;
    const char *file;
    unsigned line;
    conf_value_cb *cb;
    void *arg;
    struct err *err;
    char path[PATH_MAX_LEN + 1];
    size_t path_len;
    size_t section_len[DEPTH_MAX]; /* length of path before each open section */
    unsigned section_line[DEPTH_MAX];
    unsigned depth;
    struct buf word;
    bool quoted;
};

static int complain(struct syntax *s, const char *what)
{
    return err_set(s->err, ERR_INVALID, "%s:%u: %s", s->file, s->line, what);
}

/* White space and comments; newlines end a statement, so they are skipped only where asked. */
static int skip(struct syntax *s, bool newlines)
{
    while (s->p < s->end) {
        char c = *s->p;
        if (c == '\n' && !newlines)
            return 0;
        if (c == '#') {
            while (s->p < s->end && *s->p != '\n')
                s->p++;
        } else if (c == '/' && s->end - s->p >= 2 && s->p[1] == '*') {
            unsigned begin = s->line;
            s->p += 2;
            while (s->end - s->p >= 2 && !(s->p[0] == '*' && s->p[1] == '/'))
                s->line += *s->p++ == '\n';
            if (s->end - s->p < 2) {
                s->line = begin;
                return complain(s, "this comment does not end");
            }
            s->p += 2;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            s->line += c == '\n';
            s->p++;
        } else {
            return 0;
        }
    }
    return 0;
}

static bool is_special(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';' || c == ',' || c == '{' ||
           c == '}' || c == '[' || c == ']' || c == '"' || c == '#' || c == '=';
}

static int hex4(struct span s, uint32_t *ret)
{
    uint32_t v = 0;
    if (s.n < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = ascii_lower((unsigned char)s.p[i]);
        if (ascii_is_digit(c))
            v = v << 4 | (c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (c - 'a' + 10u);
        else
            return -1;
    }
    *ret = v;
    return 0;
}

static void put_utf8(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_put_byte(b, (char)c);
    } else if (c < 0x800) {
        buf_put_byte(b, (char)(0xc0 | c >> 6));
        buf_put_byte(b, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_put_byte(b, (char)(0xe0 | c >> 12));
        buf_put_byte(b, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_put_byte(b, (char)(0x80 | (c & 0x3f)));
    }
}

static int escape(struct syntax *s)
{
    static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
    if (s->p == s->end)
        return complain(s, "this string does not end");
    char c = *s->p++;
    const char *at = strchr(from, c);
    uint32_t code;
    if (c == 'u') {
        if (hex4(span_make(s->p, (size_t)(s->end - s->p)), &code) < 0 || code == 0 ||
            (code >= 0xd800 && code < 0xe000))
            return complain(s, "\\u wants four hexadecimal digits of a character");
        put_utf8(&s->word, code);
        s->p += 4;
    } else if (c != '\0' && at) {
        buf_put_byte(&s->word, to[at - from]);
    } else if (c == '"' || c == '\\' || c == '/') {
        buf_put_byte(&s->word, c);
    } else {
        return complain(s, "unknown escape in a string (write \\\\ for a backslash)");
    }
    return 0;
}

static int read_quoted(struct syntax *s)
{
    s->p++;
    while (s->p < s->end && *s->p != '"') {
        char c = *s->p;
        if (c == '\n' || c == '\0')
            return complain(s, "this string does not end on its line");
        s->p++;
        int r = 0;
        if (c == '\\')
            r = escape(s);
        else
            buf_put_byte(&s->word, c);
        if (r < 0)
            return r;
    }
    if (s->p == s->end)
        return complain(s, "this string does not end");
    s->p++;
    return 0;
}

static int read_word(struct syntax *s)
{
    buf_reset(&s->word);
    buf_reserve(&s->word, 1);
    s->quoted = s->p < s->end && *s->p == '"';
    if (s->quoted)
        return read_quoted(s);
    while (s->p < s->end && !is_special(*s->p) && *s->p != '\0')
        buf_put_byte(&s->word, *s->p++);
    if (s->word.n && s->word.p[0] == '\'')
        return complain(s, "strings have double quotes here: \"...\"");
    if (span_starts(buf_span(&s->word), SPAN("<<")))
        return complain(s, "here-documents (<<) are not read; write a \"string\" on one line");
    if (!s->word.n)
        return complain(s, s->p == s->end ? "unexpected end" : "a name or value is missing here");
    return 0;
}

static int emit(struct syntax *s, bool first, bool none)
{
    struct span value = none ? SPAN_EMPTY : buf_span(&s->word);
    return s->cb(s->arg, s->path, value, first, s->line, s->err);
}

static int read_list(struct syntax *s)
{
    bool first = true;
    s->p++;
    for (;;) {
        int r = skip(s, true);
        if (r < 0)
            return r;
        if (s->p == s->end)
            return complain(s, "this list does not end");
        if (*s->p == ']')
            break;
        if (*s->p == ',') {
            s->p++;
            continue;
        }
        r = read_word(s);
        if (r == 0)
            r = emit(s, first, false);
        if (r != 0)
            return r;
        first = false;
    }
    s->p++;
    return first ? emit(s, true, true) : 0;
}

static int open_section(struct syntax *s, size_t before)
{
    if (s->depth == DEPTH_MAX)
        return complain(s, "sections are nested too deeply");
    s->p++;
    s->section_line[s->depth] = s->line;
    s->section_len[s->depth++] = before;
    return 0;
}

/* After a statement: newline, ";", ",", or the end of the section or file. */
static int end_statement(struct syntax *s)
{
    int r = skip(s, false);
    if (r < 0 || s->p == s->end)
        return r;
    if (*s->p == '\n' || *s->p == '}')
        return 0;
    if (*s->p != ';' && *s->p != ',')
        return complain(s, "a statement ends with a newline or \";\"; values with spaces "
                           "need quotes");
    s->p++;
    return 0;
}

static int add_name(struct syntax *s)
{
    if (memchr(s->word.p, '\0', s->word.n))
        return complain(s, "this is no name");
    size_t need = s->word.n + (s->path_len ? 1 : 0);
    if (s->path_len + need > PATH_MAX_LEN)
        return complain(s, "this name is too long");
    if (s->path_len)
        s->path[s->path_len++] = '.';
    memcpy(s->path + s->path_len, s->word.p, s->word.n);
    s->path_len += s->word.n;
    s->path[s->path_len] = '\0';
    return 0;
}

static void set_path_len(struct syntax *s, size_t n)
{
    s->path_len = n;
    s->path[n] = '\0';
}

static int read_statement(struct syntax *s)
{
    size_t before = s->path_len;
    int r = read_word(s);
    if (r == 0 && !s->quoted && s->word.p[s->word.n - 1] == ':') /* name: value */
        buf_truncate(&s->word, s->word.n - 1);
    if (r == 0 && !s->quoted && s->word.n && s->word.p[0] == '.')
        return complain(s, "macros such as .include are not read: one file has all settings");
    if (r == 0)
        r = add_name(s);
    if (r == 0)
        r = skip(s, false);
    if (r < 0)
        return r;
    if (s->p < s->end && (*s->p == '=' || *s->p == ':')) {
        s->p++;
        r = skip(s, false);
    }
    if (r == 0 && s->p < s->end && *s->p == '{')
        return open_section(s, before);
    if (r == 0 && s->p < s->end && *s->p == '[') {
        r = read_list(s);
    } else if (r == 0) {
        r = read_word(s);
        if (r == 0)
            r = emit(s, true, false);
    }
    set_path_len(s, before);
    return r == 0 ? end_statement(s) : r;
}

static int read_all(struct syntax *s)
{
    for (;;) {
        int r = skip(s, true);
        if (r < 0)
            return r;
        if (s->p == s->end)
            break;
        if (*s->p == ';' || *s->p == ',') {
            s->p++;
        } else if (*s->p == '}') {
            if (!s->depth)
                return complain(s, "\"}\" without a section");
            s->p++;
            set_path_len(s, s->section_len[--s->depth]);
        } else {
            r = read_statement(s);
            if (r != 0)
                return r;
        }
    }
    if (s->depth) {
        s->line = s->section_line[s->depth - 1];
        return complain(s, "this section does not end: \"}\" is missing");
    }
    return 0;
}

int conf_syntax_parse(struct span text, const char *file, conf_value_cb *cb, void *arg,
                      struct err *err)
{
    if (text.n > TEXT_MAX)
        return err_set(err, ERR_LIMIT, "%s: larger than 1 MiB", file);
    struct syntax s = {.p = text.p,
                       .end = text.p + text.n,
                       .file = file,
                       .line = 1,
                       .cb = cb,
                       .arg = arg,
                       .err = err,
                       .word = BUF_INIT(TEXT_MAX)};
    int r = read_all(&s);
    buf_done(&s.word);
    return r;
}
