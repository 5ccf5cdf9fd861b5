#include "store/request.h"

void request_init(struct request *r, enum request_kind kind, void (*done)(struct request *),
                  void *arg)
{
    *r = (struct request){.kind = kind,
                          .done = done,
                          .arg = arg,
                          .unchanged_since = UINT64_MAX,
                          .entries_max = UINT32_MAX,
                          .view_modseq = UINT64_MAX};
}

void request_result_done(struct request *r)
{
    ranges_done(&r->result.uids);
    ranges_done(&r->result.missing);
    ranges_done(&r->result.modified);
    ranges_done(&r->result.raced);
    r->result = (struct request_result){0};
}
