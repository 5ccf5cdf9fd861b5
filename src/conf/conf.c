#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>

#include "base/bytes.h"
#include "conf/conf_int.h"
#include "conf/syntax.h"

enum { CONF_BUDGET = 8 << 20, FILE_MAX = 1 << 20 };

/* --- names --- */

static int unknown_name(const char *path, const struct place *at, struct err *err)
{
    const char *best = NULL, *tail = strrchr(path, '.');
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < conf_setting_count; i++) {
        const char *name = conf_settings[i].name, *name_tail = strrchr(name, '.');
        size_t d = conf_edit_distance(span_str(path), span_str(name));
        /* The right name in the wrong section is nearer than any other spelling. */
        if (strcmp(tail ? tail + 1 : path, name_tail ? name_tail + 1 : name) == 0)
            d = MIN(d, (size_t)1);
        if (d < best_distance) {
            best_distance = d;
            best = name;
        }
    }
    return conf_refuse(at, err, "there is no setting \"%.80s\"; did you mean \"%s\"?", path, best);
}

/* --- loading --- */

struct load {
    struct conf *conf;
    const char *file;
    bool option;      /* -o: may change what has been set, and has no lines */
    unsigned *lines;  /* of each setting, where this text sets it; 0: not yet */
    const char *kept; /* the file's name, in the conf's arena */
};

static void note_origin(struct load *l, size_t i, const struct place *at)
{
    l->lines[i] = at->line ? at->line : 1;
    l->conf->origins[i] =
        (struct conf_origin){l->option ? CONF_FROM_OPTION : CONF_FROM_FILE, l->kept, at->line};
}

static int set_pair(struct load *l, size_t i, const char *name, struct span v, bool first,
                    const struct place *at, struct err *err)
{
    const struct setting *s = &conf_settings[i];
    const struct conf_list *list = conf_field(l->conf, s);
    uint64_t n;
    if (!l->lines[i])
        conf_list_clear(l->conf, s);
    if (!first || !v.p)
        return conf_refuse(at, err, "%s.%s takes one value", s->name, name);
    for (size_t k = 0; k < list->count; k += 2)
        if (strcmp(list->items[k], name) == 0)
            return conf_refuse(at, err, "%s.%s is set already, in or after line %u", s->name, name,
                               l->lines[i]);
    if (s->choices && !conf_parse_choice(s->choices, v, &n))
        return conf_bad_choice(s, at, v, err);
    if (!l->lines[i])
        note_origin(l, i, at);
    if (conf_list_add(l->conf, s, span_str(name)) < 0 || conf_list_add(l->conf, s, v) < 0)
        return err_set(err, ERR_LIMIT, "%s: too long", l->file);
    return 0;
}

/* Which of two values is meant nobody can tell: not the last one, which may be far below. */
static int check_twice(const struct load *l, size_t i, const struct place *at, struct err *err)
{
    if (!l->lines[i] || l->option)
        return 0;
    return conf_refuse(at, err, "%s is set already in line %u; one of the two has to go",
                       conf_settings[i].name, l->lines[i]);
}

static int on_value(void *arg, const char *path, struct span value, bool first, unsigned line,
                    struct err *err)
{
    struct load *l = arg;
    struct place at = {l->file, l->option ? 0 : line};
    for (size_t i = 0; i < conf_setting_count; i++) {
        const struct setting *s = &conf_settings[i];
        size_t n = strlen(s->name);
        if (s->type == CONF_PAIRS && strncmp(path, s->name, n) == 0 && path[n] == '.')
            return set_pair(l, i, path + n + 1, value, first, &at, err);
        if (strcmp(path, s->name) != 0)
            continue;
        int r = first ? check_twice(l, i, &at, err) : 0;
        if (r == 0)
            r = conf_set_value(l->conf, s, value, first, &at, err);
        if (first)
            note_origin(l, i, &at);
        return r;
    }
    return unknown_name(path, &at, err);
}

static int apply(struct conf *c, struct span text, const char *file, bool option, struct err *err)
{
    autofree unsigned *lines = xcalloc(conf_setting_count, sizeof(*lines));
    struct load l = {.conf = c, .file = file, .option = option, .lines = lines};
    l.kept = conf_keep(c, span_str(file));
    int r = conf_syntax_parse(text, file, on_value, &l, err);
    if (r == 0 && c->arena.spent)
        r = err_set(err, ERR_LIMIT, "%s: too large", file);
    return r;
}

struct conf *conf_new(void)
{
    struct conf *c = xnew(struct conf);
    arena_init(&c->arena, CONF_BUDGET);
    c->origins = arena_array(&c->arena, conf_setting_count, sizeof(*c->origins));
    invariant(c->origins);
    for (size_t i = 0; i < conf_setting_count; i++) {
        const struct setting *s = &conf_settings[i];
        autobuf text = BUF_INIT(4096);
        struct err err;
        if (conf_is_list(s))
            conf_list_clear(c, s);
        buf_printf(&text, s->type == CONF_PAIRS ? "%s %s" : "%s = %s", s->name, s->def);
        int r = apply(c, buf_span(&text), s->name, false, &err);
        invariant(r == 0);
    }
    memset(c->origins, 0, conf_setting_count * sizeof(*c->origins));
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
    if (apply(c, text, file, false, err) == 0)
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
    static const char file[] = "-o", with_line[] = "-o:1: ";
    struct err why = {0};
    int r = apply(c, statement, file, true, &why);
    if (r == 0 || !err)
        return r;
    /* Syntax errors have a line, which nobody needs here. */
    bool cut = strncmp(why.text, with_line, strlen(with_line)) == 0;
    return err_set(err, r, "%s%s", cut ? "-o: " : "", why.text + (cut ? strlen(with_line) : 0));
}

/* To another process of the same program: the table is the schema. */

void conf_encode(const struct conf *c, bool secrets, struct buf *out)
{
    put_u32(out, (uint32_t)conf_setting_count);
    for (size_t i = 0; i < conf_setting_count; i++) {
        const struct setting *s = &conf_settings[i];
        const void *p = conf_field(c, s);
        const struct conf_list *l = p;
        if (s->type == CONF_STRING) {
            const char *text;
            memcpy(&text, p, sizeof(text));
            put_blob(out, s->secret && !secrets ? SPAN("") : span_str(text));
        } else if (s->type == CONF_BOOL) {
            put_u8(out, *(const bool *)p);
        } else if (conf_is_list(s)) {
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
    void *p = conf_field(c, s);
    if (s->type == CONF_STRING) {
        const char *text = conf_keep(c, read_blob(r));
        if (!text)
            return ERR_LIMIT;
        memcpy(p, &text, sizeof(text));
    } else if (s->type == CONF_BOOL) {
        *(bool *)p = read_u8(r) != 0;
    } else if (conf_is_list(s)) {
        uint64_t n = read_varint(r);
        conf_list_clear(c, s);
        for (uint64_t i = 0; i < n && !r->bad; i++)
            if (conf_list_add(c, s, read_blob(r)) < 0)
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
    const void *p = conf_field(a, s), *q = conf_field(b, s);
    const struct conf_list *l = p, *m = q;
    if (s->type == CONF_STRING) {
        const char *x, *y;
        memcpy(&x, p, sizeof(x));
        memcpy(&y, q, sizeof(y));
        return strcmp(x, y) == 0;
    }
    if (s->type == CONF_BOOL)
        return *(const bool *)p == *(const bool *)q;
    if (!conf_is_list(s))
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
    void *p = conf_field(to, s);
    const void *q = conf_field(from, s);
    const struct conf_list *l = q;
    if (s->type == CONF_STRING) {
        const char *text;
        memcpy(&text, q, sizeof(text));
        text = conf_keep(to, span_str(text));
        if (!text)
            return ERR_LIMIT;
        memcpy(p, &text, sizeof(text));
    } else if (s->type == CONF_BOOL) {
        *(bool *)p = *(const bool *)q;
    } else if (conf_is_list(s)) {
        conf_list_clear(to, s);
        for (size_t i = 0; i < l->count; i++)
            if (conf_list_add(to, s, span_str(l->items[i])) < 0)
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

void conf_show(const struct conf *c, void (*each)(void *arg, const struct conf_shown *s), void *arg)
{
    for (size_t i = 0; i < conf_setting_count; i++) {
        const struct setting *s = &conf_settings[i];
        autobuf value = BUF_INIT(1 << 20);
        conf_put_value(c, s, &value);
        each(arg, &(struct conf_shown){.name = s->name,
                                       .type = conf_type_name(s->type),
                                       .value = value.n ? value.p : "",
                                       .def = s->def,
                                       .origin = c->origins[i],
                                       .fixed = conf_setting_fixed(s)});
    }
}

const struct conf_origin *conf_origin(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < conf_setting_count; i++)
        if (strcmp(conf_settings[i].name, name) == 0)
            return &c->origins[i];
    return NULL;
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
