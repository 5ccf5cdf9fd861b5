#include "imap/session_int.h"

static const struct {
    uint16_t flag;
    const char *name;
    size_t len;
} system_flags[] = {
    {FLAG_ANSWERED, "\\Answered", 9}, {FLAG_FLAGGED, "\\Flagged", 8}, {FLAG_DELETED, "\\Deleted", 8},
    {FLAG_SEEN, "\\Seen", 5},         {FLAG_DRAFT, "\\Draft", 6},
};

void put_flags(struct buf *b, struct snap *snap, const struct row *row, bool recent)
{
    bool first = true;
    buf_put_byte(b, '(');
    for (size_t i = 0; i < ARRAY_LEN(system_flags); i++) {
        if (!(row->flags & system_flags[i].flag))
            continue;
        if (!first)
            buf_put_byte(b, ' ');
        buf_put(b, system_flags[i].name, system_flags[i].len);
        first = false;
    }
    if (recent) {
        buf_put_str(b, first ? "\\Recent" : " \\Recent");
        first = false;
    }
    for (size_t i = 0; i < row->keyword_count; i++) {
        struct span name;
        if (snap_keyword(snap, row_keyword(row, i), &name))
            continue;
        if (!first)
            buf_put_byte(b, ' ');
        buf_put_span(b, name);
        first = false;
    }
    buf_put_byte(b, ')');
}
