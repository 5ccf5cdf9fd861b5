/* A configuration file: it is taken or refused with a sentence that names a line; what is taken
 * survives being sent to another process, and what that one gets, decodes or is refused. The first
 * octet chooses: a file, or an encoded configuration. */
#include "conf/conf.h"

static void load(struct span text)
{
    struct err err = {0};
    autobuf encoded = BUF_INIT(BUF_UNLIMITED), again = BUF_INIT(BUF_UNLIMITED);
    struct conf *c = conf_load_text(text, "fuzz.conf", &err);
    if (!c) {
        invariant(err.code < 0 && err.text[0]);
        return;
    }
    conf_encode(c, true, &encoded);
    struct conf *d = conf_decode(buf_span(&encoded), &err);
    invariant(d != NULL);
    conf_encode(d, true, &again);
    invariant(span_eq(buf_span(&encoded), buf_span(&again)));
    conf_free(c);
    conf_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err err = {0};
    if (n == 0)
        return 0;
    struct span in = span_make(data + 1, n - 1);
    if (data[0] & 1)
        conf_free(conf_decode(in, &err));
    else
        load(in);
    return 0;
}
