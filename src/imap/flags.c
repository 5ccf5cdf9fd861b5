/* imap/flags.c: flags as text. The 64 combinations of system flags and \Recent are made once, since
 * they are written for every row of a FETCH FLAGS. */
#include "imap/session_int.h"

enum { RECENT_BIT = 1 << 5, COMBINATIONS = 64 };

static struct {
    char text[56];
    unsigned char len;
} combinations[COMBINATIONS];

static const struct {
    uint16_t flag;
    const char *name;
} system_flags[] = {
    {FLAG_ANSWERED, "\\Answered"}, {FLAG_FLAGGED, "\\Flagged"}, {FLAG_DELETED, "\\Deleted"},
    {FLAG_SEEN, "\\Seen"},         {FLAG_DRAFT, "\\Draft"},     {RECENT_BIT, "\\Recent"},
};

__attribute__((constructor)) static void make_combinations(void)
{
    for (size_t bits = 0; bits < COMBINATIONS; bits++) {
        size_t n = 0;
        for (size_t i = 0; i < ARRAY_LEN(system_flags); i++) {
            size_t len = strlen(system_flags[i].name);
            if (!(bits & system_flags[i].flag))
                continue;
            if (n)
                combinations[bits].text[n++] = ' ';
            memcpy(combinations[bits].text + n, system_flags[i].name, len);
            n += len;
        }
        combinations[bits].len = (unsigned char)n;
    }
}

char *format_flags(char *to, uint16_t flags, bool recent)
{
    size_t bits = (flags & FLAG_ALL) | (recent ? RECENT_BIT : 0);
    memcpy(to, combinations[bits].text, sizeof(combinations[bits].text));
    return to + combinations[bits].len;
}

void put_flags(struct buf *b, struct snap *snap, const struct row *row, bool recent)
{
    size_t bits = (row->flags & FLAG_ALL) | (recent ? RECENT_BIT : 0);
    buf_put_byte(b, '(');
    buf_put(b, combinations[bits].text, combinations[bits].len);
    bool first = bits == 0;
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

static void put_fetch_start(struct session *s, struct buf *b, const struct shown *m, bool with_uid)
{
    put_message_start(s, b, m);
    if (with_uid && !s->uidonly) {
        buf_put_lit(b, "UID ");
        buf_put_u64(b, m->row.uid);
        buf_put_byte(b, ' ');
    }
}

static void put_modseq(struct session *s, struct buf *b, const struct shown *m)
{
    buf_put_lit(b, "MODSEQ (");
    buf_put_u64(b, m->row.modseq);
    buf_put_byte(b, ')');
    s->modseq_sent = true;
}

void put_fetch_flags(struct session *s, struct buf *b, struct snap *snap, const struct shown *m,
                     bool with_uid)
{
    put_fetch_start(s, b, m, with_uid || s->condstore);
    buf_put_lit(b, "FLAGS ");
    put_flags(b, snap, &m->row, m->recent);
    if (s->condstore) {
        buf_put_byte(b, ' ');
        put_modseq(s, b, m);
    }
    buf_put_lit(b, ")\r\n");
}

void put_fetch_modseq(struct session *s, struct buf *b, const struct shown *m)
{
    put_fetch_start(s, b, m, true);
    put_modseq(s, b, m);
    buf_put_lit(b, ")\r\n");
}

uint16_t store_flags(uint32_t wire_flags)
{
    static const struct {
        uint32_t wire;
        uint16_t flag;
    } map[] = {
        {WIRE_FLAG_ANSWERED, FLAG_ANSWERED}, {WIRE_FLAG_FLAGGED, FLAG_FLAGGED},
        {WIRE_FLAG_DELETED, FLAG_DELETED},   {WIRE_FLAG_SEEN, FLAG_SEEN},
        {WIRE_FLAG_DRAFT, FLAG_DRAFT},
    };
    uint16_t flags = 0;
    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        if (wire_flags & map[i].wire)
            flags |= map[i].flag;
    return flags;
}
