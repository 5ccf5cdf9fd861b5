/* The Dovecot authentication protocol: no line does harm, and what is written as a field comes
 * back. */
#include "wire/mta_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autoarena a = ARENA_INIT(4 * MTA_LINE_MAX);
    struct span in = span_make(data, size);
    struct mta_request r;
    const char *reason = NULL;
    if (mta_parse(in, &a, &r, &reason) < 0)
        invariant(reason);
    if (!size || size > MTA_LINE_MAX / 4)
        return 0;
    autobuf line = BUF_INIT(MTA_LINE_MAX);
    buf_put_lit(&line, "AUTH\t1\tX");
    mta_put_field(&line, SPAN("rip"), in);
    invariant(mta_parse(buf_span(&line), &a, &r, &reason) == 0);
    invariant(span_eq(r.remote, in));
    return 0;
}
