/* What martletctl prints: a table for people, a progress bar on a terminal, or JSON, an object a
 * line for programs. */
#include <unistd.h>

#include "base/clock.h"
#include "tools/martletctl/ctl.h"

void report_init(struct report *r, const struct options *o, size_t width)
{
    *r = (struct report){.options = o, .width = width};
    r->terminal = !o->json && !o->quiet && isatty(STDERR_FILENO);
    buf_init(&r->json, BUF_UNLIMITED);
}

/* RFC 8259; bytes that are not UTF-8 cannot occur in names, and text is our own. */
void json_string(struct buf *b, struct span s)
{
    buf_put_byte(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_put_byte(b, (char)c);
    }
    buf_put_byte(b, '"');
}

static void bar_clear(struct report *r)
{
    if (r->bar)
        fputs("\r\033[K", stderr);
    r->bar = false;
}

void report_begin(struct report *r, const char *account)
{
    r->account = account;
    r->begun_us = clock_monotonic_us();
    r->findings = r->damages = 0;
    buf_reset(&r->json);
}

void report_found(struct report *r, const struct found *f)
{
    r->findings++;
    r->damages += strcmp(f->kind, "damage") == 0;
    if (r->options->json) {
        buf_printf(&r->json, "%s{\"kind\":\"%s\",\"mailbox\":%llu,\"uid\":%llu,",
                   r->json.n ? "," : "", f->kind, (unsigned long long)f->mailbox,
                   (unsigned long long)f->uid);
        buf_printf(&r->json,
                   "\"segment\":%llu,\"offset\":%llu,\"text\":", (unsigned long long)f->segment,
                   (unsigned long long)f->offset);
        json_string(&r->json, f->text);
        buf_put_byte(&r->json, '}');
        return;
    }
    bar_clear(r);
    printf("%s: %s: %.*s\n", r->account, f->kind, (int)f->text.n, f->text.p);
}

void report_progress(struct report *r, uint64_t done, uint64_t total)
{
    enum { CELLS = 30 };
    char cells[CELLS + 1];
    if (!r->terminal || total == 0)
        return;
    size_t full = (size_t)(MIN(done, total) * CELLS / total);
    memset(cells, '#', full);
    memset(cells + full, '.', CELLS - full);
    cells[CELLS] = '\0';
    fprintf(stderr, "\r\033[K%s %s [%s] %3llu %%", r->options->verb, r->account, cells,
            (unsigned long long)(MIN(done, total) * 100 / total));
    fflush(stderr);
    r->bar = true;
}

static void print_json(struct report *r, int error, struct span text, double seconds)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    buf_put_str(&b, "{\"account\":");
    json_string(&b, span_str(r->account));
    buf_printf(&b, ",\"action\":\"%s\",\"result\":\"%s\",\"error\":", r->options->verb,
               error        ? "failed"
               : r->damages ? "damaged"
                            : "ok");
    json_string(&b, error ? span_str(err_name(error)) : SPAN(""));
    buf_put_str(&b, ",\"text\":");
    json_string(&b, text);
    buf_printf(&b, ",\"seconds\":%.3f,\"findings\":[", seconds);
    buf_put_span(&b, buf_span(&r->json));
    buf_put_str(&b, "]}\n");
    fwrite(b.p, 1, b.n, stdout);
}

void report_end(struct report *r, int error, struct span text)
{
    double seconds = (double)(clock_monotonic_us() - r->begun_us) / 1e6;
    bar_clear(r);
    r->done++;
    r->failed += error != 0;
    r->damaged += r->damages > 0;
    if (r->options->json) {
        print_json(r, error, text, seconds);
    } else if (error) {
        printf("%-*s  %-8s %8.2f s  %.*s\n", (int)r->width, r->account, "FAILED", seconds,
               (int)text.n, text.p);
    } else if (!r->options->quiet || r->damages) {
        printf("%-*s  %-8s %8.2f s", (int)r->width, r->account, r->damages ? "DAMAGED" : "ok",
               seconds);
        if (r->findings)
            printf("  %zu finding%s", r->findings, r->findings == 1 ? "" : "s");
        putchar('\n');
    }
    fflush(stdout);
}

int report_finish(struct report *r)
{
    if (!r->options->json && !r->options->quiet && r->done != 1)
        printf("%zu accounts, %zu damaged, %zu failed\n", r->done, r->damaged, r->failed);
    buf_done(&r->json);
    return r->failed ? EXIT_FAILED : r->damaged ? EXIT_DAMAGE : EXIT_FINE;
}
