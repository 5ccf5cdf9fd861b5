#include "daemon/metrics/exposition.h"

#include "base/metrics_table.h"

struct writer {
    struct buf *out;
    bool open; /* OpenMetrics */
    const struct exposition_page *pages;
    size_t count;
};

static uint64_t load(const struct exposition_page *p, unsigned slot)
{
    return atomic_load_explicit(&p->page[slot], memory_order_relaxed);
}

static uint64_t sum(const struct writer *w, unsigned slot)
{
    uint64_t n = 0; /* wraps: one process may have opened what another one closed */
    for (size_t i = 0; i < w->count; i++)
        n += load(&w->pages[i], slot);
    return n;
}

static void put_value(struct buf *out, enum metric_unit unit, uint64_t n)
{
    if (unit == METRIC_UNIT_SECONDS)
        buf_printf(out, "%llu.%06llu", (unsigned long long)(n / 1000000),
                   (unsigned long long)(n % 1000000));
    else
        buf_put_u64(out, n);
}

static void put_head(struct writer *w, const struct metric_row *r)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    /* OpenMetrics names the family, the older form its sample */
    const char *suffix = r->kind == METRIC_KIND_COUNTER && !w->open ? "_total" : "";
    buf_printf(w->out, "# TYPE %s%s %s\n", r->name, suffix, kinds[r->kind]);
    if (w->open && r->unit != METRIC_UNIT_NONE)
        buf_printf(w->out, "# UNIT %s %s\n", r->name,
                   r->unit == METRIC_UNIT_SECONDS ? "seconds" : "bytes");
    buf_printf(w->out, "# HELP %s%s %s\n", r->name, suffix, r->help);
}

/* {a="x",b="y"}; more: one label in addition, such as le="1.0" */
static void put_labels(struct writer *w, const struct metric_row *r, const char *a, const char *b,
                       const char *more)
{
    const char *between = "{";
    const char *values[] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        if (!*r->labels[i].name)
            continue;
        buf_printf(w->out, "%s%s=\"%s\"", between, r->labels[i].name, values[i]);
        between = ",";
    }
    if (more) {
        buf_printf(w->out, "%s%s", between, more);
        between = ",";
    }
    if (*between == ',')
        buf_put_byte(w->out, '}');
}

static void put_sample(struct writer *w, const struct metric_row *r, const char *suffix,
                       const char *a, const char *b, const char *more, enum metric_unit unit,
                       uint64_t n)
{
    buf_printf(w->out, "%s%s", r->name, suffix);
    put_labels(w, r, a, b, more);
    buf_put_byte(w->out, ' ');
    put_value(w->out, unit, n);
    buf_put_byte(w->out, '\n');
}

static void put_histogram(struct writer *w, const struct metric_row *r, const char *a,
                          unsigned slot)
{
    uint64_t count[METRIC_BUCKETS], total = 0;
    for (unsigned i = 0; i < METRIC_BUCKETS; i++)
        total += count[i] = sum(w, slot + i);
    if (!total && r->labels[0].count > 1) /* most commands are never used */
        return;
    total = 0;
    for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
        char le[48];
        uint64_t bound = UINT64_C(1) << (r->shift + 2 * i);
        if (i == METRIC_BOUNDS)
            snprintf(le, sizeof(le), "le=\"+Inf\"");
        else if (r->unit == METRIC_UNIT_SECONDS)
            snprintf(le, sizeof(le), "le=\"%llu.%06llu\"", (unsigned long long)(bound / 1000000),
                     (unsigned long long)(bound % 1000000));
        else
            snprintf(le, sizeof(le), "le=\"%llu.0\"", (unsigned long long)bound);
        total += count[i];
        put_sample(w, r, "_bucket", a, "", le, METRIC_UNIT_NONE, total);
    }
    put_sample(w, r, "_count", a, "", NULL, METRIC_UNIT_NONE, total);
    put_sample(w, r, "_sum", a, "", NULL, r->unit, sum(w, slot + METRIC_SUM));
}

static void put_row(struct writer *w, const struct metric_row *r)
{
    const char *suffix = r->kind == METRIC_KIND_COUNTER ? "_total" : "";
    put_head(w, r);
    if (strcmp(r->labels[0].name, "process") == 0 && r->labels[0].count == 1) {
        for (size_t i = 0; i < w->count; i++)
            put_sample(w, r, suffix, w->pages[i].process, "", NULL, r->unit,
                       load(&w->pages[i], r->first));
        return;
    }
    for (unsigned i = 0; r->labels[0].values[i]; i++) {
        for (unsigned k = 0; r->labels[1].values[k]; k++) {
            const char *a = r->labels[0].values[i], *b = r->labels[1].values[k];
            unsigned slot = r->first + (i * r->labels[1].count + k) * r->width;
            uint64_t n = sum(w, slot);
            if (r->kind == METRIC_KIND_HISTOGRAM)
                put_histogram(w, r, a, slot);
            else /* a gauge may be below 0 for a moment, between two processes */
                put_sample(w, r, suffix, a, b, NULL, r->unit,
                           r->kind == METRIC_KIND_GAUGE && (int64_t)n < 0 ? 0 : n);
        }
    }
}

void exposition_write(struct buf *out, enum exposition_form form,
                      const struct exposition_page *pages, size_t count)
{
    struct writer w = {out, form == EXPOSITION_OPENMETRICS, pages, count};
    buf_printf(out,
               "# TYPE martlet_build%s\n"
               "# HELP martlet_build%s Version of this Martlet.\n"
               "martlet_build_info{version=\"" MARTLET_VERSION "\"} 1\n",
               w.open ? " info" : "_info gauge", w.open ? "" : "_info");
    for (unsigned i = 0; i < metric_row_count; i++)
        put_row(&w, &metric_rows[i]);
    if (w.open)
        buf_put_lit(out, "# EOF\n");
}
