/* store/rights.h: what somebody may do with a mailbox (RFC 4314).
 *
 * An access control list maps identifiers to rights. An identifier is a user's name, "anyone", or
 * "group:" and a group's name; one that begins with '-' takes rights away, whoever gave them
 * (section 2, "negative rights"). The owner of an account has all rights to its mailboxes, whatever
 * the lists say. Pure functions; any thread. */
#ifndef STORE_RIGHTS_H
#define STORE_RIGHTS_H

#include "base/buf.h"

/* Section 2.1. */
enum right {
    RIGHT_LOOKUP = 1 << 0,          /* l: it is visible */
    RIGHT_READ = 1 << 1,            /* r */
    RIGHT_SEEN = 1 << 2,            /* s: keep \Seen */
    RIGHT_WRITE = 1 << 3,           /* w: flags other than \Seen and \Deleted */
    RIGHT_INSERT = 1 << 4,          /* i: APPEND, COPY into it */
    RIGHT_POST = 1 << 5,            /* p: not enforced by an IMAP server */
    RIGHT_CREATE = 1 << 6,          /* k: mailboxes below it */
    RIGHT_DELETE_MAILBOX = 1 << 7,  /* x */
    RIGHT_DELETE_MESSAGES = 1 << 8, /* t: \Deleted */
    RIGHT_EXPUNGE = 1 << 9,         /* e */
    RIGHT_ADMINISTER = 1 << 10,     /* a: the list itself */
    RIGHTS_ALL = (1 << 11) - 1,
    /* One of these makes SELECT say READ-WRITE (section 5.2). */
    RIGHTS_CHANGE = RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_DELETE_MESSAGES | RIGHT_EXPUNGE,
};

enum { IDENTIFIER_MAX = 255 + 7 }; /* octets: "-group:" and a name */

/* "lrs"; the obsolete c and d mean k, and e, t, x (section 2.1.1). False: a letter that is no
 * right.
 */
bool rights_parse(struct span text, uint32_t *ret);
/* In the order above; with c and d where k, or one of e, t and x, is there, for clients of RFC
 * 2086. */
void rights_put(struct buf *b, uint32_t rights);
/* Each right on its own ("l" "r" ...), d and its parts left out: for LISTRIGHTS. */
void rights_put_each(struct buf *b, uint32_t rights);

/* A form that no list may hold: empty, too long, control characters, "-" alone. */
bool identifier_good(struct span identifier);

/* Who somebody is: a name and the groups that he belongs to, each followed by '\n'. */
struct identity {
    struct span user, groups;
};
/* Whether an identifier, without its '-', stands for him. */
bool identity_is(const struct identity *who, struct span identifier);

/* Adds up a list, entry by entry. */
struct rights_sum {
    uint32_t given, taken;
};
void rights_add(struct rights_sum *sum, const struct identity *who, struct span identifier,
                uint32_t rights);
static inline uint32_t rights_of(const struct rights_sum *sum)
{
    return sum->given & ~sum->taken;
}

#endif
