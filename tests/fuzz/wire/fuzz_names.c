/* Modified UTF-7, mailbox names, patterns, base64: one spelling for each name, both ways. */
#include "wire/base64.h"
#include "wire/match.h"
#include "wire/mutf7.h"
#include "wire/write.h"

static void check_mutf7(struct span in)
{
    autobuf utf8 = BUF_INIT(1 << 20);
    autobuf wire = BUF_INIT(1 << 20);
    autobuf back = BUF_INIT(1 << 20);
    if (mutf7_decode(in, &utf8) == 0) {
        invariant(utf8_valid(buf_span(&utf8)));
        invariant(mutf7_encode(buf_span(&utf8), &wire) == 0);
        invariant(span_eq(buf_span(&wire), in));
    }
    buf_reset(&wire);
    int rc = mutf7_encode(in, &wire);
    invariant((rc == 0) == utf8_valid(in));
    if (rc == 0) {
        invariant(mutf7_decode(buf_span(&wire), &back) == 0);
        invariant(span_eq(buf_span(&back), in));
    }
}

static void check_base64(struct span in)
{
    autobuf out = BUF_INIT(1 << 20);
    autobuf back = BUF_INIT(1 << 20);
    if (base64_decode(in, &out) == 0) {
        base64_encode(buf_span(&out), &back);
        invariant(span_eq(buf_span(&back), in));
    }
    buf_reset(&out);
    buf_reset(&back);
    base64_encode(in, &out);
    invariant(base64_decode(buf_span(&out), &back) == 0);
    invariant(span_eq(buf_span(&back), in));
}

static void check_name(struct span in, bool utf8)
{
    autobuf name = BUF_INIT(1 << 20);
    autobuf out = BUF_INIT(1 << 20);
    const char *why = NULL;
    int rc = mailbox_name_decode(in, utf8, &name, &why);
    if (rc == 0) {
        invariant(mailbox_name_problem(buf_span(&name)) == NULL);
        write_mailbox(&out, buf_span(&name), utf8);
        invariant(out.n > 0);
    } else {
        invariant(why && name.n == 0);
    }
    if (mailbox_pattern_decode(in, utf8, &name, &why) == 0)
        invariant(utf8_valid(buf_span(&name)));
}

static void check_pattern(struct span in)
{
    struct pattern p;
    struct span pattern, name;
    if (!span_split(&in, '\n', &pattern) || pattern_init(&p, SPAN_EMPTY, pattern, '/'))
        return;
    unsigned found = pattern_match(&p, in);
    if (pattern_is_literal(&p, &name) && !span_istarts(in, SPAN("INBOX")))
        invariant(((found & PATTERN_MATCH) != 0) == span_eq(name, in));
    if (found & PATTERN_MATCH)
        invariant(span_starts(in, pattern_prefix(&p)) || span_istarts(in, SPAN("INBOX")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span in = span_make(data, n);
    check_mutf7(in);
    check_base64(in);
    check_name(in, false);
    check_name(in, true);
    check_pattern(in);
    return 0;
}
