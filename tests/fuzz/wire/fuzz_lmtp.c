/* LMTP: command lines do not crash, and message data is the same in any chunking. */
#include "base/buf.h"
#include "wire/lmtp.h"

static void check_line(struct span line)
{
    autoarena a = ARENA_INIT(64 << 10);
    struct lmtp_command c;
    struct lmtp_error e = {0};
    volatile unsigned char sum = 0;
    if (lmtp_parse(line, &a, &c, &e)) {
        invariant(e.code >= 400 && e.enhanced && e.text);
        return;
    }
    const struct span spans[] = {c.arg, c.path.local, c.path.domain, c.path.text};
    for (size_t i = 0; i < ARRAY_LEN(spans); i++)
        for (size_t k = 0; k < spans[i].n; k++)
            sum = (unsigned char)(sum + (unsigned char)spans[i].p[k]);
    for (unsigned i = 0; i < c.n_params; i++)
        invariant(c.params[i].name.n > 0);
}

static size_t run_data(struct span in, size_t chunk, struct buf *out)
{
    struct lmtp_data d = {0};
    size_t used = 0;
    bool end = false;
    while (used < in.n && !end) {
        struct span piece = span_head(span_skip(in, used), chunk), data;
        size_t n = lmtp_data_next(&d, piece, &data, &end);
        invariant(n <= piece.n && (n > 0 || data.n > 0));
        buf_put_span(out, data);
        used += n;
    }
    buf_printf(out, "|%d%d%d", end, d.bare_lf, d.bare_cr);
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span in = span_make(data, n);
    autobuf whole = BUF_INIT(BUF_UNLIMITED);
    autobuf bytes = BUF_INIT(BUF_UNLIMITED);
    autobuf some = BUF_INIT(BUF_UNLIMITED);
    check_line(in);
    size_t used = run_data(in, in.n, &whole);
    invariant(used == run_data(in, 1, &bytes) && span_eq(buf_span(&whole), buf_span(&bytes)));
    invariant(used == run_data(in, 3, &some) && span_eq(buf_span(&whole), buf_span(&some)));
    /* the end comes exactly behind CRLF "." CRLF */
    size_t end = span_starts(in, SPAN(".\r\n")) ? 0 : span_find(in, SPAN("\r\n.\r\n"));
    invariant(used == (end == SPAN_NPOS                 ? in.n
                       : end                            ? end + 5
                       : span_starts(in, SPAN(".\r\n")) ? 3
                                                        : 5));
    return 0;
}
