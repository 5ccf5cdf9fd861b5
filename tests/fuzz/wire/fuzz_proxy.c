/* The PROXY protocol: a header that is complete stays the same whatever follows it, and no shorter
 * beginning of it is an answer. */
#include "wire/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_make(data, size);
    struct proxy_header h, again;
    if (proxy_parse(in, &h) != PROXY_OK)
        return 0;
    invariant(h.length > 0 && h.length <= size && h.length <= PROXY_HEADER_MAX);
    invariant(proxy_parse(span_head(in, h.length), &again) == PROXY_OK);
    invariant(again.length == h.length && again.family == h.family && again.tls == h.tls);
    for (size_t i = 0; i < h.length; i++)
        invariant(proxy_parse(span_head(in, i), &again) == PROXY_MORE);
    return 0;
}
