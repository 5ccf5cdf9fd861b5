#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>

#include "base/bytes.h"
#include "conf/conf_int.h"
#include "conf/syntax.h"

enum { CONF_BUDGET = 8 << 20, FILE_MAX = 1 << 20 };

static void *field(const struct conf *c, const struct setting *s)
{
    return (char *)(uintptr_t)c + s->offset;
}

static bool is_list(const struct setting *s)
{
    return s->type == CONF_LIST || s->type == CONF_LISTEN || s->type == CONF_PAIRS;
}

static const char *keep_str(struct conf *c, struct span s)
{
    char *p = arena_alloc(&c->arena, s.n + 1);
    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

/* Values. */

static bool parse_bool(struct span v, bool *ret)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (int i = 0; i < 3; i++) {
        if (span_ieq(v, span_str(yes[i])) || span_ieq(v, span_str(no[i]))) {
            *ret = span_ieq(v, span_str(yes[i]));
            return true;
        }
    }
    return false;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit sizes[] = {{"", 1},           {"b", 1},        {"k", 1000},
                                    {"kb", 1024},      {"m", 1000000},  {"mb", 1 << 20},
                                    {"g", 1000000000}, {"gb", 1 << 30}, {NULL, 0}};
static const struct unit times[] = {{"", 1000},       {"ms", 1},      {"s", 1000},
                                    {"min", 60000},   {"h", 3600000}, {"d", 86400000},
                                    {"w", 604800000}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static bool parse_number(struct span v, const struct unit *units, uint64_t *ret)
{
    size_t digits = 0;
    uint64_t number;
    while (digits < v.n && ascii_is_digit((unsigned char)v.p[digits]))
        digits++;
    if (!span_to_u64(span_head(v, digits), UINT64_MAX, &number))
        return false;
    for (; units->name; units++)
        if (span_ieq(span_skip(v, digits), span_str(units->name)))
            return !mul_overflow(number, units->factor, ret);
    return false;
}

static bool parse_choice(const char *choices, struct span v, uint64_t *ret)
{
    struct span rest = span_str(choices), word;
    for (uint64_t i = 0; span_split(&rest, ' ', &word); i++) {
        if (span_ieq(word, v)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

bool conf_split_listen(struct span listen, struct span *ret_host, uint16_t *ret_port)
{
    size_t colon = listen.n;
    while (colon > 0 && listen.p[colon - 1] != ':')
        colon--;
    uint64_t port;
    if (colon < 2 || !span_to_u64(span_skip(listen, colon), 65535, &port))
        return false;
    struct span host = span_head(listen, colon - 1);
    bool bracketed = host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (!bracketed && span_find_byte(host, ':') != SPAN_NPOS)
        return false;
    *ret_host = bracketed ? span_make(host.p + 1, host.n - 2) : host;
    *ret_port = (uint16_t)port;
    return true;
}

static int bad_value(const struct setting *s, const char *file, unsigned line, struct span v,
                     const char *want, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s:%u: %s: \"" SPAN_FMT "\" is not %s", file, line, s->name,
                   SPAN_ARG(span_head(v, 80)), want);
}

static int bad_choice(const struct setting *s, const char *file, unsigned line, struct span v,
                      struct err *err)
{
    char want[120];
    snprintf(want, sizeof(want), "one of: %s", s->choices);
    return bad_value(s, file, line, v, want, err);
}

static int set_number(struct conf *c, const struct setting *s, struct span v, const char *file,
                      unsigned line, struct err *err)
{
    uint64_t n;
    bool time = s->type == CONF_TIME || s->type == CONF_MILLISECONDS;
    const struct unit *units = time ? times : s->type == CONF_SIZE ? sizes : plain;
    if (!parse_number(v, units, &n))
        return bad_value(s, file, line, v,
                         time                   ? "a time (such as 90s, 30min, 500ms)"
                         : s->type == CONF_SIZE ? "a size (such as 64kb, 10mb)"
                                                : "a number",
                         err);
    if (s->type == CONF_TIME)
        n /= 1000;
    if (n < s->min || n > s->max)
        return err_set(err, ERR_INVALID, "%s:%u: %s: " SPAN_FMT " is not between %llu and %llu",
                       file, line, s->name, SPAN_ARG(v), (unsigned long long)s->min,
                       (unsigned long long)s->max);
    memcpy(field(c, s), &n, sizeof(n));
    return 0;
}

static int list_add(struct conf *c, const struct setting *s, struct span v)
{
    struct conf_list *l = field(c, s);
    const char **items = arena_array(&c->arena, l->count + 2, sizeof(*items));
    const char *copy = keep_str(c, v);
    if (!items || !copy)
        return ERR_LIMIT;
    if (l->count)
        memcpy(items, l->items, l->count * sizeof(*items));
    items[l->count] = copy;
    l->items = items;
    l->count++;
    return 0;
}

static const char *const no_items[1];

static void list_clear(struct conf *c, const struct setting *s)
{
    struct conf_list *l = field(c, s);
    l->items = no_items;
    l->count = 0;
}

static int set_list(struct conf *c, const struct setting *s, struct span v, bool first,
                    const char *file, unsigned line, struct err *err)
{
    struct span host;
    uint16_t port;
    if (first)
        list_clear(c, s);
    if (!v.p)
        return 0;
    bool path = v.n && v.p[0] == '/' && s->offset == offsetof(struct conf, lmtp_listen);
    if (s->type == CONF_LISTEN && !path && !conf_split_listen(v, &host, &port))
        return bad_value(s, file, line, v, "an address with a port (such as 127.0.0.1:143)", err);
    return list_add(c, s, v) == 0 ? 0 : err_set(err, ERR_LIMIT, "%s: too long", file);
}

static int set_value(struct conf *c, const struct setting *s, struct span v, bool first,
                     const char *file, unsigned line, struct err *err)
{
    if (!is_list(s) && (!first || !v.p))
        return err_set(err, ERR_INVALID, "%s:%u: %s takes one value, not a list", file, line,
                       s->name);
    if (v.n && memchr(v.p, '\0', v.n))
        return bad_value(s, file, line, v, "text", err);
    uint64_t n;
    const char *text;
    switch (s->type) {
    case CONF_STRING:
        text = keep_str(c, v);
        memcpy(field(c, s), &text, sizeof(text));
        return 0;
    case CONF_BOOL:
        if (!parse_bool(v, field(c, s)))
            return bad_value(s, file, line, v, "true or false", err);
        return 0;
    case CONF_CHOICE:
        if (!parse_choice(s->choices, v, &n))
            return bad_choice(s, file, line, v, err);
        memcpy(field(c, s), &n, sizeof(n));
        return 0;
    case CONF_NUMBER:
    case CONF_SIZE:
    case CONF_TIME:
    case CONF_MILLISECONDS:
        return set_number(c, s, v, file, line, err);
    case CONF_LIST:
    case CONF_LISTEN:
        return set_list(c, s, v, first, file, line, err);
    case CONF_PAIRS:
        break;
    }
    return err_set(err, ERR_INVALID, "%s:%u: %s is a section of names with values", file, line,
                   s->name);
}

/* Names. */

static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n >= ARRAY_LEN(row))
        return SIZE_MAX;
    for (size_t i = 0; i <= n; i++)
        row[i] = i;
    for (size_t i = 1; *a; a++, i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= n; k++) {
            size_t up = row[k];
            size_t change = diagonal + (*a != b[k - 1]);
            row[k] = MIN(change, MIN(up, row[k - 1]) + 1);
            diagonal = up;
        }
    }
    return row[n];
}

static int unknown_name(const char *path, const char *file, unsigned line, struct err *err)
{
    const char *best = NULL, *tail = strrchr(path, '.');
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < conf_setting_count; i++) {
        const char *name = conf_settings[i].name, *name_tail = strrchr(name, '.');
        size_t d = edit_distance(path, name);
        /* The right name in the wrong section is nearer than any other spelling. */
        if (strcmp(tail ? tail + 1 : path, name_tail ? name_tail + 1 : name) == 0)
            d = 1;
        if (d < best_distance) {
            best_distance = d;
            best = name;
        }
    }
    return err_set(err, ERR_INVALID, "%s:%u: there is no setting \"%.80s\"; did you mean \"%s\"?",
                   file, line, path, best);
}

struct load {
    struct conf *conf;
    const char *file;
    const struct setting *pairs; /* the section whose defaults have been dropped */
};

static int set_pair(struct load *l, const struct setting *s, const char *name, struct span v,
                    bool first, unsigned line, struct err *err)
{
    uint64_t n;
    if (l->pairs != s)
        list_clear(l->conf, s);
    l->pairs = s;
    if (!first || !v.p)
        return err_set(err, ERR_INVALID, "%s:%u: %s.%s takes one value", l->file, line, s->name,
                       name);
    if (s->choices && !parse_choice(s->choices, v, &n))
        return bad_choice(s, l->file, line, v, err);
    if (list_add(l->conf, s, span_str(name)) < 0 || list_add(l->conf, s, v) < 0)
        return err_set(err, ERR_LIMIT, "%s: too long", l->file);
    return 0;
}

static int on_value(void *arg, const char *path, struct span value, bool first, unsigned line,
                    struct err *err)
{
    struct load *l = arg;
    for (size_t i = 0; i < conf_setting_count; i++) {
        const struct setting *s = &conf_settings[i];
        size_t n = strlen(s->name);
        if (strcmp(path, s->name) == 0)
            return set_value(l->conf, s, value, first, l->file, line, err);
        if (s->type == CONF_PAIRS && strncmp(path, s->name, n) == 0 && path[n] == '.')
            return set_pair(l, s, path + n + 1, value, first, line, err);
    }
    return unknown_name(path, l->file, line, err);
}

static int apply(struct conf *c, struct span text, const char *file, struct err *err)
{
    struct load l = {.conf = c, .file = file};
    int r = conf_syntax_parse(text, file, on_value, &l, err);
    if (r == 0 && c->arena.spent)
        r = err_set(err, ERR_LIMIT, "%s: too large", file);
    return r;
}

struct conf *conf_new(void)
{
    struct conf *c = xnew(struct conf);
    arena_init(&c->arena, CONF_BUDGET);
    for (size_t i = 0; i < conf_setting_count; i++) {
        const struct setting *s = &conf_settings[i];
        autobuf text = BUF_INIT(4096);
        struct err err;
        if (is_list(s))
            list_clear(c, s);
        buf_printf(&text, s->type == CONF_PAIRS ? "%s %s" : "%s = %s", s->name, s->def);
        int r = apply(c, buf_span(&text), s->name, &err);
        invariant(r == 0);
    }
    return c;
}

void conf_free(struct conf *c)
{
    if (!c)
        return;
    arena_done(&c->arena);
    free(c);
}

struct conf *conf_load_text(struct span text, const char *file, struct err *err)
{
    struct conf *c = conf_new();
    if (apply(c, text, file, err) == 0)
        return c;
    conf_free(c);
    return NULL;
}

struct conf *conf_load(const char *file, struct err *err)
{
    autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set_errno(err, "%s", file);
        return NULL;
    }
    autobuf text = BUF_INIT(FILE_MAX);
    for (;;) {
        char *to = buf_reserve(&text, 8192);
        if (!to) {
            err_set(err, ERR_LIMIT, "%s: larger than 1 MiB", file);
            return NULL;
        }
        ssize_t n = read(fd, to, 8192);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_set_errno(err, "%s", file);
            return NULL;
        }
        if (n == 0)
            break;
        buf_commit(&text, (size_t)n);
    }
    return conf_load_text(buf_span(&text), file, err);
}

int conf_set(struct conf *c, struct span statement, struct err *err)
{
    return apply(c, statement, "option", err);
}

/* To another process of the same program: the table is the schema. */

void conf_encode(const struct conf *c, bool secrets, struct buf *out)
{
    put_u32(out, (uint32_t)conf_setting_count);
    for (size_t i = 0; i < conf_setting_count; i++) {
        const struct setting *s = &conf_settings[i];
        const void *p = field(c, s);
        const struct conf_list *l = p;
        if (s->type == CONF_STRING) {
            const char *text;
            memcpy(&text, p, sizeof(text));
            put_blob(out, s->secret && !secrets ? SPAN("") : span_str(text));
        } else if (s->type == CONF_BOOL) {
            put_u8(out, *(const bool *)p);
        } else if (is_list(s)) {
            put_varint(out, l->count);
            for (size_t k = 0; k < l->count; k++)
                put_blob(out, span_str(l->items[k]));
        } else {
            put_u64(out, load_le64(p));
        }
    }
}

static int decode_one(struct conf *c, const struct setting *s, struct reader *r)
{
    void *p = field(c, s);
    if (s->type == CONF_STRING) {
        const char *text = keep_str(c, read_blob(r));
        if (!text)
            return ERR_LIMIT;
        memcpy(p, &text, sizeof(text));
    } else if (s->type == CONF_BOOL) {
        *(bool *)p = read_u8(r) != 0;
    } else if (is_list(s)) {
        uint64_t n = read_varint(r);
        list_clear(c, s);
        for (uint64_t i = 0; i < n && !r->bad; i++)
            if (list_add(c, s, read_blob(r)) < 0)
                return ERR_LIMIT;
    } else {
        store_le64(p, read_u64(r));
    }
    return r->bad ? ERR_INVALID : 0;
}

struct conf *conf_decode(struct span encoded, struct err *err)
{
    struct conf *c = conf_new();
    struct reader r = reader_make(encoded);
    int e = read_u32(&r) == conf_setting_count ? 0 : ERR_VERSION;
    for (size_t i = 0; i < conf_setting_count && e == 0; i++)
        e = decode_one(c, &conf_settings[i], &r);
    if (e == 0 && reader_left(&r) == 0)
        return c;
    err_set(err, e ? e : ERR_INVALID, "settings from another version of Martlet");
    conf_free(c);
    return NULL;
}

/* Reloading. */

static bool same_value(const struct conf *a, const struct conf *b, const struct setting *s)
{
    const void *p = field(a, s), *q = field(b, s);
    const struct conf_list *l = p, *m = q;
    if (s->type == CONF_STRING) {
        const char *x, *y;
        memcpy(&x, p, sizeof(x));
        memcpy(&y, q, sizeof(y));
        return strcmp(x, y) == 0;
    }
    if (s->type == CONF_BOOL)
        return *(const bool *)p == *(const bool *)q;
    if (!is_list(s))
        return load_le64(p) == load_le64(q);
    if (l->count != m->count)
        return false;
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i], m->items[i]) != 0)
            return false;
    return true;
}

void conf_diff(const struct conf *a, const struct conf *b,
               void (*each)(void *arg, const char *name, bool fixed), void *arg)
{
    for (size_t i = 0; i < conf_setting_count; i++)
        if (!same_value(a, b, &conf_settings[i]))
            each(arg, conf_settings[i].name, conf_setting_fixed(&conf_settings[i]));
}

static int copy_value(struct conf *to, const struct conf *from, const struct setting *s)
{
    void *p = field(to, s);
    const void *q = field(from, s);
    const struct conf_list *l = q;
    if (s->type == CONF_STRING) {
        const char *text;
        memcpy(&text, q, sizeof(text));
        text = keep_str(to, span_str(text));
        if (!text)
            return ERR_LIMIT;
        memcpy(p, &text, sizeof(text));
    } else if (s->type == CONF_BOOL) {
        *(bool *)p = *(const bool *)q;
    } else if (is_list(s)) {
        list_clear(to, s);
        for (size_t i = 0; i < l->count; i++)
            if (list_add(to, s, span_str(l->items[i])) < 0)
                return ERR_LIMIT;
    } else {
        memcpy(p, q, sizeof(uint64_t));
    }
    return 0;
}

int conf_keep_fixed(struct conf *to, const struct conf *from)
{
    for (size_t i = 0; i < conf_setting_count; i++) {
        int r = conf_setting_fixed(&conf_settings[i]) ? copy_value(to, from, &conf_settings[i]) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Documentation. */

static struct span section_of(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot ? span_make(name, (size_t)(dot - name)) : SPAN_EMPTY;
}

static void print_setting(struct buf *out, const struct setting *s, const char *indent)
{
    struct span rest = span_str(s->help), line;
    while (span_split(&rest, '\n', &line))
        buf_printf(out, "%s# " SPAN_FMT "\n", indent, SPAN_ARG(line));
    if (conf_setting_fixed(s))
        buf_printf(out, "%s# A change needs a restart.\n", indent);
    const char *name = strchr(s->name, '.');
    name = name ? name + 1 : s->name;
    buf_printf(out, s->type == CONF_PAIRS ? "%s#%s %s\n" : "%s#%s = %s;\n", indent, name, s->def);
}

void conf_print_default(struct buf *out)
{
    bool done[256] = {false};
    buf_put_lit(out,
                "# martlet.conf: every setting of Martlet with its default.\n"
                "# Remove the \"#\" before a setting to change it. SIGHUP makes Martlet take\n"
                "# changes, and read certificates and users again, without ending a session.\n");
    invariant(conf_setting_count <= ARRAY_LEN(done));
    for (size_t i = 0; i < conf_setting_count; i++) {
        struct span section = section_of(conf_settings[i].name);
        if (done[i])
            continue;
        buf_put_lit(out, "\n");
        if (!section.n) {
            print_setting(out, &conf_settings[i], "");
            continue;
        }
        buf_printf(out, SPAN_FMT " {\n", SPAN_ARG(section));
        for (size_t k = i; k < conf_setting_count; k++) {
            if (!span_eq(section_of(conf_settings[k].name), section))
                continue;
            if (k != i)
                buf_put_lit(out, "\n");
            print_setting(out, &conf_settings[k], "    ");
            done[k] = true;
        }
        buf_put_lit(out, "}\n");
    }
}

void conf_each(void (*each)(void *arg, const char *name, const char *type, const char *def,
                            const char *help),
               void *arg)
{
    for (size_t i = 0; i < conf_setting_count; i++) {
        const struct setting *s = &conf_settings[i];
        each(arg, s->name, conf_type_name(s->type), s->def, s->help);
    }
}
