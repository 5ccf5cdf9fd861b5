#include "tools/martletctl/table.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

struct table {
    const struct column *columns;
    size_t n;
    bool json;
    struct buf *row;    /* n values; not given: p is NULL */
    struct buf **rows;  /* those that wait for their widths */
    size_t count, kept; /* rows ended, rows kept */
};

/* --- values --- */

void json_string(struct buf *b, struct span s)
{
    size_t pos = 0;
    buf_put_byte(b, '"');
    while (pos < s.n) {
        size_t at = pos;
        uint32_t c;
        if (!utf8_next(s, &pos, &c)) {
            buf_put_lit(b, "\\ufffd");
            pos = at + 1;
        } else if (c == '"' || c == '\\') {
            buf_put_byte(b, '\\');
            buf_put_byte(b, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(b, "\\u%04x", (unsigned)c);
        } else {
            buf_put(b, s.p + at, pos - at);
        }
    }
    buf_put_byte(b, '"');
}

void put_printable(struct buf *b, struct span s)
{
    size_t pos = 0;
    while (pos < s.n) {
        size_t at = pos;
        uint32_t c;
        bool good = utf8_next(s, &pos, &c);
        if (!good)
            pos = at + 1;
        if (!good || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            for (; at < pos; at++)
                buf_printf(b, "\\x%02x", (unsigned char)s.p[at]);
        } else {
            buf_put(b, s.p + at, pos - at);
        }
    }
}

void put_size(struct buf *b, uint64_t octets)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    uint64_t rest = 0;
    size_t unit = 0;
    for (; octets >= 1024 && unit + 1 < ARRAY_LEN(units); unit++) {
        rest = octets % 1024;
        octets /= 1024;
    }
    if (unit == 0 || octets >= 100)
        buf_printf(b, "%llu %s", (unsigned long long)octets, units[unit]);
    else
        buf_printf(b, "%llu.%llu %s", (unsigned long long)octets,
                   (unsigned long long)(rest * 10 / 1024), units[unit]);
}

void put_time(struct buf *b, uint64_t wall_us, bool utc)
{
    time_t t = (time_t)(wall_us / 1000000);
    struct tm tm;
    char text[64];
    if (!(utc ? gmtime_r(&t, &tm) : localtime_r(&t, &tm)) ||
        !strftime(text, sizeof(text), utc ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M:%S", &tm))
        return;
    buf_put_str(b, text);
}

static void put_seconds(struct buf *b, uint64_t n)
{
    if (n < 120)
        buf_printf(b, "%llu s", (unsigned long long)n);
    else if (n < 120 * 60)
        buf_printf(b, "%llu min", (unsigned long long)n / 60);
    else if (n < 48 * 3600)
        buf_printf(b, "%llu h", (unsigned long long)n / 3600);
    else
        buf_printf(b, "%llu d", (unsigned long long)n / 86400);
}

static bool is_true(struct span v)
{
    return span_eq(v, SPAN("yes")) || span_eq(v, SPAN("true")) || span_eq(v, SPAN("1"));
}

static void put_json_list(struct buf *b, struct span v)
{
    struct span word;
    bool first = true;
    buf_put_byte(b, '[');
    while (span_split(&v, ' ', &word)) {
        if (!word.n)
            continue;
        if (!first)
            buf_put_byte(b, ',');
        json_string(b, word);
        first = false;
    }
    buf_put_byte(b, ']');
}

static void put_json_value(struct buf *b, const struct column *c, const struct buf *v)
{
    uint64_t n;
    bool number = c->kind == COLUMN_NUMBER || c->kind == COLUMN_SIZE || c->kind == COLUMN_TIME ||
                  c->kind == COLUMN_SECONDS;
    struct span s = buf_span(v);
    if (!v->p || (number && !span_to_u64(s, UINT64_MAX, &n)))
        buf_put_lit(b, "null");
    else if (c->kind == COLUMN_TIME) {
        buf_put_byte(b, '"');
        put_time(b, n, true);
        buf_put_byte(b, '"');
    } else if (number)
        buf_put_u64(b, n);
    else if (c->kind == COLUMN_FLAG)
        buf_put_str(b, is_true(s) ? "true" : "false");
    else if (c->kind == COLUMN_LIST)
        put_json_list(b, s);
    else
        json_string(b, s);
}

static void put_human_value(struct buf *b, const struct column *c, const struct buf *v)
{
    uint64_t n;
    struct span s = buf_span(v);
    if (c->kind == COLUMN_FLAG)
        buf_put_str(b, is_true(s) ? "yes" : v->p ? "no" : "");
    else if (c->kind == COLUMN_SIZE && span_to_u64(s, UINT64_MAX, &n))
        put_size(b, n);
    else if (c->kind == COLUMN_SECONDS && span_to_u64(s, UINT64_MAX, &n))
        put_seconds(b, n);
    else if (c->kind == COLUMN_TIME && span_to_u64(s, UINT64_MAX, &n))
        put_time(b, n, false);
    else
        put_printable(b, s);
}

/* --- rows --- */

static struct buf *new_row(size_t n)
{
    struct buf *row = xcalloc(n ? n : 1, sizeof(*row));
    for (size_t i = 0; i < n; i++)
        buf_init(&row[i], BUF_UNLIMITED);
    return row;
}

static void free_row(struct buf *row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_done(&row[i]);
    free(row);
}

struct table *table_new(const struct column *columns, size_t n, bool json)
{
    struct table *t = xnew(struct table);
    t->columns = columns;
    t->n = n;
    t->json = json;
    t->row = new_row(n);
    return t;
}

void table_set(struct table *t, size_t column, struct span value)
{
    struct buf *v = &t->row[column];
    buf_reset(v);
    buf_reserve(v, value.n + 1); /* given, even if empty */
    buf_put_span(v, value);
}

void table_set_number(struct table *t, size_t column, uint64_t value)
{
    table_set(t, column, SPAN(""));
    buf_put_u64(&t->row[column], value);
}

void table_set_key(struct table *t, struct span key, struct span value)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->columns[i].key && span_eq(key, span_str(t->columns[i].key)))
            table_set(t, i, value);
}

static void print_json_row(const struct table *t, const struct buf *row)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    for (size_t i = 0; i < t->n; i++) {
        if (!t->columns[i].key)
            continue;
        buf_printf(&b, "%c\"%s\":", b.n ? ',' : '{', t->columns[i].key);
        put_json_value(&b, &t->columns[i], &row[i]);
    }
    buf_put_lit(&b, "}\n");
    fwrite(b.p, 1, b.n, stdout);
}

void table_row(struct table *t)
{
    t->count++;
    if (t->json) {
        print_json_row(t, t->row);
        free_row(t->row, t->n);
    } else {
        t->rows = xrealloc_array(t->rows, t->kept + 1, sizeof(*t->rows));
        t->rows[t->kept++] = t->row;
        for (size_t i = 0; i < t->n; i++) {
            autobuf text = BUF_INIT(BUF_UNLIMITED);
            put_human_value(&text, &t->columns[i], &t->row[i]);
            table_set(t, i, buf_span(&text));
        }
    }
    t->row = new_row(t->n);
}

size_t table_rows(const struct table *t)
{
    return t->count;
}

/* --- for people --- */

static size_t width_of(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

static struct span cut(struct span s, size_t width)
{
    size_t i = 0;
    for (size_t n = 0; i < s.n; i++)
        if ((s.p[i] & 0xc0) != 0x80 && n++ == width)
            break;
    return span_head(s, i);
}

static bool to_the_right(const struct column *c)
{
    return c->kind == COLUMN_NUMBER || c->kind == COLUMN_SIZE || c->kind == COLUMN_SECONDS;
}

static void put_cell(struct buf *b, const struct table *t, size_t i, struct span s, size_t width,
                     bool last)
{
    size_t n = width_of(s);
    bool right = to_the_right(&t->columns[i]);
    if (n > width && width > 1) {
        s = cut(s, width - 1);
        buf_put_span(b, s);
        buf_put_lit(b, "~");
        n = width;
    } else if (right) {
        for (; n < width; n++)
            buf_put_byte(b, ' ');
        buf_put_span(b, s);
    } else {
        buf_put_span(b, s);
    }
    for (; !last && n < width; n++)
        buf_put_byte(b, ' ');
    if (last)
        while (b->n && b->p[b->n - 1] == ' ')
            buf_truncate(b, b->n - 1);
    buf_put_str(b, last ? "\n" : "  ");
}

static size_t terminal_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
        return SIZE_MAX;
    return size.ws_col;
}

/* Takes what is too much from the widest flexible column, again and again. */
static void fit(const struct table *t, size_t *widths)
{
    size_t limit = terminal_width(), total = 0;
    for (size_t i = 0; i < t->n; i++)
        total += t->columns[i].title ? widths[i] + 2 : 0;
    total -= total ? 2 : 0;
    while (total > limit) {
        size_t widest = SIZE_MAX;
        for (size_t i = 0; i < t->n; i++)
            if (t->columns[i].flexible && t->columns[i].title && widths[i] > 8 &&
                (widest == SIZE_MAX || widths[i] > widths[widest]))
                widest = i;
        if (widest == SIZE_MAX)
            break;
        widths[widest]--;
        total--;
    }
}

static void print_rows(const struct table *t)
{
    autofree size_t *widths = xcalloc(t->n ? t->n : 1, sizeof(*widths));
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    size_t last = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->columns[i].title)
            continue;
        last = i;
        widths[i] = width_of(span_str(t->columns[i].title));
        for (size_t k = 0; k < t->kept; k++)
            widths[i] = MAX(widths[i], width_of(buf_span(&t->rows[k][i])));
    }
    fit(t, widths);
    for (size_t i = 0; i < t->n; i++)
        if (t->columns[i].title)
            put_cell(&b, t, i, span_str(t->columns[i].title), widths[i], i == last);
    for (size_t k = 0; k < t->kept; k++)
        for (size_t i = 0; i < t->n; i++)
            if (t->columns[i].title)
                put_cell(&b, t, i, buf_span(&t->rows[k][i]), widths[i], i == last);
    if (b.n)
        fwrite(b.p, 1, b.n, stdout);
}

static void table_free(struct table *t)
{
    for (size_t k = 0; k < t->kept; k++)
        free_row(t->rows[k], t->n);
    free_row(t->row, t->n);
    free(t->rows);
    free(t);
}

void table_end(struct table *t, const char *empty)
{
    bool titled = false;
    for (size_t i = 0; i < t->n; i++)
        titled = titled || t->columns[i].title;
    if (!t->json && t->kept && titled)
        print_rows(t);
    else if (!t->json && empty)
        printf("%s\n", empty);
    fflush(stdout);
    table_free(t);
}

void table_end_as_record(struct table *t)
{
    size_t width = 0;
    for (size_t i = 0; i < t->n; i++)
        if (t->columns[i].title)
            width = MAX(width, width_of(span_str(t->columns[i].title)));
    for (size_t k = 0; k < t->kept; k++)
        for (size_t i = 0; i < t->n; i++)
            if (t->columns[i].title && t->rows[k][i].n)
                printf("%-*s  %s\n", (int)width, t->columns[i].title, t->rows[k][i].p);
    fflush(stdout);
    table_free(t);
}

/* --- progress --- */

void progress_begin(struct progress *p, bool allowed)
{
    *p = (struct progress){.allowed = allowed && isatty(STDERR_FILENO),
                           .begun_us = clock_monotonic_us()};
}

void progress_show(struct progress *p, const char *what, uint64_t done, uint64_t total)
{
    enum { CELLS = 30, PATIENCE_US = 1000000, EVERY_US = 100000 };
    char cells[CELLS + 1];
    uint64_t now = clock_monotonic_us();
    if (!p->allowed || total == 0 || now - p->begun_us < PATIENCE_US ||
        (p->shown && now - p->drawn_us < EVERY_US && done < total))
        return;
    double part = (double)MIN(done, total) / (double)total;
    size_t full = (size_t)(part * CELLS);
    memset(cells, '#', full);
    memset(cells + full, '.', CELLS - full);
    cells[CELLS] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %3d %%", what, cells, (int)(part * 100));
    fflush(stderr);
    p->shown = true;
    p->drawn_us = now;
}

void progress_clear(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
