/* index/keys.h: the tables and the encoding of their keys, in one place. Private to src/index.
 *
 * Tables whose keys are two or one number use MDB_INTEGERKEY with 64 bits; in all others byte order
 * is the order that is walked, so numbers in keys are big-endian.
 *
 *   main     01                          the state record (state.c)
 *            02 mailbox(4)               mailbox record, all that a change of one message touches
 *            03 segment(8)               dead octets and messages of a segment of the log
 *            04 file(4)                  octets and dead octets of derived-<file>
 *            "row", "chunk" ...          LMDB's own records of the tables below: every commit
 *                                        writes this page, so the hot records above share it
 *   row      mailbox << 32 | uid         a block of rows; uid <= its first row's (rows.c)
 *   chunk    mailbox << 32 | uid         a group of up to GROUP_MAX blocks: counts, newest MODSEQs
 *   ghost    mailbox << 32 | uid         an expunged row that a session still shows
 *   gone     mailbox(4) modseq(6) part(2)  what was expunged: time, UIDs
 *   message  message id / 64             locations and reference counts (messages.c)
 *   name     the mailbox name            mailbox id, subscribed
 *   misc     'k' folded name             keyword id
 *            'r' mailbox(4) identifier   rights (acl.c)
 *            'v' mailbox(4) user         UIDs that he has seen (seen.c)
 *            'i' id(2)                   keyword name
 *            'm' mailbox(4)              ids of keywords ever used there
 *            'd' delivery id(16)         until when it is known (deliveries.c)
 *            'e' until(8) id(16)         nothing: the same in the order of times
 *            't' transfer id(16)         what is on its way to another account (transfers.c)
 *            'u' object id(16)           key of signed URLs of that mailbox (url_keys.c)
 *            'n' mailbox(4) owner 0 entry  metadata: MODSEQ, removed, value (metadata.c)
 *            'q' root(4)                 limits, usage and name of a quota root (quota.c)
 *            's' user name               account id (site log only)
 *            'p' kind(1) hash(16) name   the name of the hash (site log only; pairs.c) */
#ifndef INDEX_KEYS_H
#define INDEX_KEYS_H

#include "base/bytes.h"

enum table {
    TABLE_MAIN,
    TABLE_ROW,
    TABLE_CHUNK,
    TABLE_GHOST,
    TABLE_GONE,
    TABLE_MESSAGE,
    TABLE_NAME,
    TABLE_MISC,
    TABLE_COUNT,
};

enum { KEY_MAX = 511 };

struct key {
    union {
        uint64_t number;
        unsigned char b[KEY_MAX + 1];
    };
    size_t n;
};

static inline struct span key_span(const struct key *k)
{
    return span_make(k->b, k->n);
}

/* Only the octets of a key that are set are ever initialised: a key is half a page. */
static inline void key_number(struct key *k, uint64_t v)
{
    k->number = v;
    k->n = sizeof(v);
}

static inline void key_row(struct key *k, uint32_t mailbox, uint32_t uid)
{
    key_number(k, (uint64_t)mailbox << 32 | uid);
}

static inline uint32_t key_row_mailbox(struct span s)
{
    return (uint32_t)(load_le64(s.p) >> 32);
}

static inline uint32_t key_row_uid(struct span s)
{
    return load_le32(s.p);
}

enum { MAIN_STATE = 1, MAIN_MAILBOX = 2, MAIN_SEGMENT = 3, MAIN_DERIVED = 4 };

static inline void key_state(struct key *k)
{
    k->b[0] = MAIN_STATE;
    k->n = 1;
}

static inline void key_tagged_u32(struct key *k, unsigned char tag, uint32_t v)
{
    k->b[0] = tag;
    store_be32(k->b + 1, v);
    k->n = 5;
}

static inline void key_mailbox(struct key *k, uint32_t mailbox)
{
    key_tagged_u32(k, MAIN_MAILBOX, mailbox);
}

static inline void key_segment(struct key *k, uint64_t segment)
{
    k->b[0] = MAIN_SEGMENT;
    store_be64(k->b + 1, segment);
    k->n = 9;
}

static inline void key_derived_file(struct key *k, uint32_t file)
{
    key_tagged_u32(k, MAIN_DERIVED, file);
}

enum { KEY_GONE_SIZE = 12 };

static inline void key_gone(struct key *k, uint32_t mailbox, uint64_t modseq, uint16_t part)
{
    store_be32(k->b, mailbox);
    store_be64(k->b + 4, modseq << 16 | part);
    k->n = KEY_GONE_SIZE;
}

static inline uint32_t key_gone_mailbox(struct span s)
{
    return load_be32(s.p);
}

static inline uint64_t key_gone_modseq(struct span s)
{
    return load_be64(s.p + 4) >> 16;
}

/* False if the text does not fit. */
static inline bool key_text(struct key *k, char tag, struct span text, bool fold)
{
    size_t at = tag ? 1 : 0;

    if (text.n == 0 || text.n > KEY_MAX - at)
        return false;
    k->b[0] = (unsigned char)tag;
    for (size_t i = 0; i < text.n; i++)
        k->b[at + i] = fold ? ascii_lower((unsigned char)text.p[i]) : (unsigned char)text.p[i];
    k->n = at + text.n;
    return true;
}

static inline void key_keyword_id(struct key *k, uint16_t id)
{
    k->b[0] = 'i';
    k->b[1] = (unsigned char)(id >> 8);
    k->b[2] = (unsigned char)id;
    k->n = 3;
}

static inline void key_mailbox_keywords(struct key *k, uint32_t mailbox)
{
    key_tagged_u32(k, 'm', mailbox);
}

#endif
