/* Requests and results as another process sends them: whatever the bytes are, nothing is read
 * outside them; what decodes is encoded to bytes that decode to the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/request_code.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_request(struct span code)
{
    autoarena arena = ARENA_INIT(1 << 20);
    struct request r, again;
    struct request_part *parts, *parts_again;
    request_init(&r, REQUEST_STORE, NULL, NULL);
    if (request_decode(code, &arena, &r, &parts))
        return;
    autobuf one = BUF_INIT(BUF_UNLIMITED), two = BUF_INIT(BUF_UNLIMITED);
    request_encode(&one, &r, parts);
    request_init(&again, REQUEST_STORE, NULL, NULL);
    int error = request_decode(buf_span(&one), &arena, &again, &parts_again);
    if (error == 0) { /* else the arena is spent */
        request_encode(&two, &again, parts_again);
        if (!span_eq(buf_span(&one), buf_span(&two)))
            abort();
        request_code_done(&again);
    } else if (error != ERR_LIMIT) {
        abort();
    }
    request_code_done(&r);
}

static void try_result(struct span code)
{
    struct request r, again;
    request_init(&r, REQUEST_STORE, NULL, NULL);
    if (request_result_decode(code, &r.result))
        return;
    autobuf one = BUF_INIT(BUF_UNLIMITED), two = BUF_INIT(BUF_UNLIMITED);
    request_result_encode(&one, &r.result);
    request_init(&again, REQUEST_STORE, NULL, NULL);
    if (request_result_decode(buf_span(&one), &again.result))
        abort();
    request_result_encode(&two, &again.result);
    if (!span_eq(buf_span(&one), buf_span(&two)))
        abort();
    request_result_done(&r);
    request_result_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = span_make(data, size);
    if (size == 0)
        return 0;
    if (data[0] & 1)
        try_request(span_skip(all, 1));
    else
        try_result(span_skip(all, 1));
    return 0;
}
