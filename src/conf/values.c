/* Values of settings: from the text of the file, with a complaint that says what is allowed, and
 * back to text. */
#include <stdarg.h>
#include <stdio.h>

#include "conf/conf_int.h"

void *conf_field(const struct conf *c, const struct setting *s)
{
    return (char *)(uintptr_t)c + s->offset;
}

bool conf_is_list(const struct setting *s)
{
    return s->type == CONF_LIST || s->type == CONF_LISTEN || s->type == CONF_PAIRS;
}

const char *conf_keep(struct conf *c, struct span s)
{
    char *p = arena_alloc(&c->arena, s.n + 1);
    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

/* --- complaints --- */

int conf_refuse(const struct place *at, struct err *err, const char *fmt, ...)
{
    autobuf text = BUF_INIT(4096);
    va_list ap;
    if (at->line)
        buf_printf(&text, "%s:%u: ", at->file, at->line);
    else
        buf_printf(&text, "%s: ", at->file);
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    return err_set(err, ERR_INVALID, "%s", text.n ? text.p : "");
}

size_t conf_edit_distance(struct span a, struct span b)
{
    size_t row[64];
    if (b.n >= ARRAY_LEN(row))
        return SIZE_MAX;
    for (size_t i = 0; i <= b.n; i++)
        row[i] = i;
    for (size_t i = 0; i < a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 1; k <= b.n; k++) {
            size_t up = row[k];
            size_t change = diagonal + (a.p[i] != b.p[k - 1]);
            row[k] = MIN(change, MIN(up, row[k - 1]) + 1);
            diagonal = up;
        }
    }
    return row[b.n];
}

/* Appends `; did you mean "x"?` if one of the words is near. */
static void suggest(struct buf *to, struct span given, const char *words)
{
    struct span rest = span_str(words), word, best = SPAN_EMPTY;
    size_t best_distance = MAX((size_t)2, given.n / 3) + 1;
    while (span_split(&rest, ' ', &word)) {
        size_t d = conf_edit_distance(given, word);
        if (word.n && (d < best_distance || span_starts(word, given))) {
            best = word;
            best_distance = d < best_distance ? d : best_distance;
        }
    }
    if (best.n)
        buf_printf(to, "; did you mean \"" SPAN_FMT "\"?", SPAN_ARG(best));
}

static int bad_value(const struct setting *s, const struct place *at, struct span v,
                     const char *want, struct err *err)
{
    return conf_refuse(at, err, "%s: \"" SPAN_FMT "\" is not %s", s->name,
                       SPAN_ARG(span_head(v, 80)), want);
}

int conf_bad_choice(const struct setting *s, const struct place *at, struct span v, struct err *err)
{
    autobuf want = BUF_INIT(512);
    buf_printf(&want, "one of: %s", s->choices);
    suggest(&want, v, s->choices);
    return bad_value(s, at, v, want.p, err);
}

/* --- numbers with units --- */

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

/* What people write instead. */
static const struct {
    const char *given, *meant;
} other_units[] = {{"m", "min"},   {"mins", "min"},  {"minute", "min"}, {"minutes", "min"},
                   {"sec", "s"},   {"secs", "s"},    {"second", "s"},   {"seconds", "s"},
                   {"hr", "h"},    {"hrs", "h"},     {"hour", "h"},     {"hours", "h"},
                   {"day", "d"},   {"days", "d"},    {"week", "w"},     {"weeks", "w"},
                   {"msec", "ms"}, {"millis", "ms"}, {"byte", "b"},     {"bytes", "b"},
                   {"kib", "kb"},  {"mib", "mb"},    {"gib", "gb"}};

static bool is_time(const struct setting *s)
{
    return s->type == CONF_TIME || s->type == CONF_MILLISECONDS;
}

static const struct unit *units_of(const struct setting *s)
{
    return is_time(s) ? times : s->type == CONF_SIZE ? sizes : plain;
}

static const struct unit *find_unit(const struct unit *units, struct span name)
{
    for (; units->name; units++)
        if (span_ieq(name, span_str(units->name)))
            return units;
    return NULL;
}

static const struct unit *meant_unit(const struct unit *units, struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(other_units); i++)
        if (span_ieq(name, span_str(other_units[i].given)))
            return find_unit(units, span_str(other_units[i].meant));
    return NULL;
}

static int bad_number(const struct setting *s, const struct place *at, struct span v,
                      struct span digits, struct span unit, struct err *err)
{
    const struct unit *meant = digits.n ? meant_unit(units_of(s), unit) : NULL;
    autobuf want = BUF_INIT(256);
    buf_put_str(&want, is_time(s)             ? "a time (a number with ms, s, min, h, d or w)"
                       : s->type == CONF_SIZE ? "a size (a number with kb, mb or gb)"
                                              : "a number");
    if (meant)
        buf_printf(&want, "; did you mean \"" SPAN_FMT "%s\"?", SPAN_ARG(digits), meant->name);
    else if (s->type == CONF_NUMBER && digits.n && unit.n)
        buf_put_str(&want, " without a unit");
    return bad_value(s, at, v, want.p, err);
}

/* With the largest unit that divides it. */
static void put_quantity(struct buf *to, const struct setting *s, uint64_t n)
{
    static const char *const time_names[] = {"w", "d", "h", "min", "s", "ms"};
    static const char *const size_names[] = {"gb", "mb", "kb"};
    const struct unit *units = units_of(s);
    const char *const *names = is_time(s) ? time_names : size_names;
    size_t count = is_time(s) ? ARRAY_LEN(time_names) : ARRAY_LEN(size_names);
    uint64_t scale = s->type == CONF_TIME ? 1000 : 1;
    if (s->type == CONF_NUMBER || n == 0) {
        buf_put_u64(to, n);
        buf_put_str(to, n == 0 && is_time(s) ? "s" : "");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct unit *u = find_unit(units, span_str(names[i]));
        if (u && n * scale % u->factor == 0) {
            buf_printf(to, "%llu%s", (unsigned long long)(n * scale / u->factor), u->name);
            return;
        }
    }
    buf_put_u64(to, n);
}

static int set_number(struct conf *c, const struct setting *s, struct span v,
                      const struct place *at, struct err *err)
{
    size_t digits = 0;
    uint64_t n;
    while (digits < v.n && ascii_is_digit((unsigned char)v.p[digits]))
        digits++;
    struct span number = span_head(v, digits), name = span_skip(v, digits);
    const struct unit *unit = find_unit(units_of(s), name);
    if (!number.n || !unit)
        return bad_number(s, at, v, number, name, err);
    bool good = span_to_u64(number, UINT64_MAX, &n) && !mul_overflow(n, unit->factor, &n);
    if (s->type == CONF_TIME)
        n /= 1000;
    if (!good || n < s->min || n > s->max) {
        autobuf range = BUF_INIT(256);
        put_quantity(&range, s, s->min);
        buf_put_str(&range, " and ");
        put_quantity(&range, s, s->max);
        return conf_refuse(at, err, "%s: " SPAN_FMT " is not between %s", s->name,
                           SPAN_ARG(span_head(v, 40)), range.p);
    }
    memcpy(conf_field(c, s), &n, sizeof(n));
    return 0;
}

/* --- the other types --- */

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

bool conf_parse_choice(const char *choices, struct span v, uint64_t *ret)
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

int conf_list_add(struct conf *c, const struct setting *s, struct span v)
{
    struct conf_list *l = conf_field(c, s);
    const char **items = arena_array(&c->arena, l->count + 2, sizeof(*items));
    const char *copy = conf_keep(c, v);
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

void conf_list_clear(struct conf *c, const struct setting *s)
{
    struct conf_list *l = conf_field(c, s);
    l->items = no_items;
    l->count = 0;
}

static int set_list(struct conf *c, const struct setting *s, struct span v, bool first,
                    const struct place *at, struct err *err)
{
    struct span host;
    uint16_t port;
    if (first)
        conf_list_clear(c, s);
    if (!v.p)
        return 0;
    bool path = v.n && v.p[0] == '/' && conf_listen_takes_paths(s);
    if (s->type == CONF_LISTEN && !path && !conf_split_listen(v, &host, &port))
        return bad_value(s, at, v, "an address with a port (such as 127.0.0.1:143)", err);
    return conf_list_add(c, s, v) == 0 ? 0 : err_set(err, ERR_LIMIT, "%s: too long", at->file);
}

int conf_set_value(struct conf *c, const struct setting *s, struct span v, bool first,
                   const struct place *at, struct err *err)
{
    if (!conf_is_list(s) && (!first || !v.p))
        return conf_refuse(at, err, "%s takes one value, not a list", s->name);
    if (v.n && memchr(v.p, '\0', v.n))
        return bad_value(s, at, v, "text", err);
    uint64_t n;
    const char *text;
    switch (s->type) {
    case CONF_STRING:
        text = conf_keep(c, v);
        memcpy(conf_field(c, s), &text, sizeof(text));
        return 0;
    case CONF_BOOL:
        if (!parse_bool(v, conf_field(c, s)))
            return bad_value(s, at, v, "true or false", err);
        return 0;
    case CONF_CHOICE:
        if (!conf_parse_choice(s->choices, v, &n))
            return conf_bad_choice(s, at, v, err);
        memcpy(conf_field(c, s), &n, sizeof(n));
        return 0;
    case CONF_NUMBER:
    case CONF_SIZE:
    case CONF_TIME:
    case CONF_MILLISECONDS:
        return set_number(c, s, v, at, err);
    case CONF_LIST:
    case CONF_LISTEN:
        return set_list(c, s, v, first, at, err);
    case CONF_PAIRS:
        break;
    }
    return conf_refuse(at, err, "%s is a section of names with values: %s { name = value }",
                       s->name, s->name);
}

/* --- back to text --- */

static void put_quoted(struct buf *to, const char *s)
{
    buf_put_byte(to, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            buf_printf(to, "\\%c", c);
        else if (c < 0x20)
            buf_printf(to, "\\u%04x", c);
        else
            buf_put_byte(to, (char)c);
    }
    buf_put_byte(to, '"');
}

static void put_list(struct buf *to, const struct conf_list *l, bool pairs)
{
    buf_put_str(to, pairs ? "{" : "[");
    for (size_t i = 0; i < l->count; i++) {
        bool value = pairs && i % 2 == 1;
        buf_put_str(to, value ? " = " : i ? ", " : pairs ? " " : "");
        put_quoted(to, l->items[i]);
    }
    buf_put_str(to, pairs ? " }" : "]");
}

void conf_put_value(const struct conf *c, const struct setting *s, struct buf *to)
{
    const void *p = conf_field(c, s);
    uint64_t n;
    if (s->type == CONF_STRING) {
        const char *text;
        memcpy(&text, p, sizeof(text));
        put_quoted(to, s->secret && *text ? "(secret)" : text);
        return;
    }
    if (s->type == CONF_BOOL) {
        buf_put_str(to, *(const bool *)p ? "true" : "false");
        return;
    }
    if (conf_is_list(s)) {
        put_list(to, p, s->type == CONF_PAIRS);
        return;
    }
    memcpy(&n, p, sizeof(n));
    if (s->type == CONF_CHOICE) {
        struct span rest = span_str(s->choices), word = SPAN_EMPTY;
        for (uint64_t i = 0; i <= n && span_split(&rest, ' ', &word); i++)
            ;
        buf_put_span(to, word);
        return;
    }
    put_quantity(to, s, n);
}
