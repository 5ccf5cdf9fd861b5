/* What another process sends: it decodes or is refused; what decodes encodes to a packet that
 * decodes to the same. */
#include "ipc/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct message m, again;
    autobuf first = BUF_INIT(BUF_UNLIMITED), second = BUF_INIT(BUF_UNLIMITED);
    if (n > MESSAGE_MAX || message_decode(span_make(data, n), &m) < 0)
        return 0;
    invariant(m.kind < MESSAGE_KIND_COUNT && message_name(m.kind)[0]);
    for (int from = 0; from < ROLE_COUNT; from++)
        for (int to = 0; to < ROLE_COUNT; to++)
            (void)message_permitted((enum role)from, (enum role)to, m.kind);
    invariant(message_encode(&m, &first) == 0);
    invariant(message_decode(buf_span(&first), &again) == 0);
    invariant(message_encode(&again, &second) == 0);
    invariant(span_eq(buf_span(&first), buf_span(&second)));
    if (m.kind == MESSAGE_CONTROL) {
        struct span args = m.u.control.args, one;
        while (control_args_next(&args, &one))
            invariant(one.n <= n);
    }
    return 0;
}
