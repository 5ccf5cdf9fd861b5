/* wire/parse_uidbatches.c: UIDBATCHES (RFC 10022):
 *
 *     "UIDBATCHES" SP nz-number [SP nz-number ":" nz-number] */
#include "wire/parse_int.h"

static int parse_count(struct parse *p, const char *what, uint32_t *ret)
{
    uint64_t v;
    int rc = parse_number64(p, what, &v);
    if (rc == 0 && (v == 0 || v > UINT32_MAX))
        rc = parse_fail(p, ERR_INVALID, "numbers of UIDBATCHES are from 1 to 4294967295");
    if (rc == 0)
        *ret = (uint32_t)v;
    return rc;
}

int parse_uidbatches(struct parse *p, struct command *c)
{
    struct cmd_uidbatches *a = &c->uidbatches;
    a->first = 1;
    a->last = UINT32_MAX;
    int rc = parse_sp(p, "the size of a batch");
    if (rc == 0)
        rc = parse_count(p, "the size of a batch", &a->size);
    p->after = "the size of a batch";
    if (rc || parse_at_trailing(p) || !parse_take(p, ' '))
        return rc;
    rc = parse_count(p, "a range of batches", &a->first);
    if (rc == 0)
        rc = parse_byte(p, ':', "a range of batches");
    return rc ? rc : parse_count(p, "a range of batches", &a->last);
}
