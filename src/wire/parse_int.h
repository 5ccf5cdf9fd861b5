/* wire/parse_int.h: what the command parsers share. Private to src/wire.
 *
 * A parse walks one command text. Functions return 0 or a negative code after parse_fail() has
 * recorded the reason; a caller returns it at once. `ret_` arguments are untouched on failure. */
#ifndef WIRE_PARSE_INT_H
#define WIRE_PARSE_INT_H

#include "wire/chars_int.h"
#include "wire/command.h"

struct parse {
    const char *p, *end;
    struct arena *a;
    const struct parse_limits *limits;
    struct parse_error *err;
    const char *after;   /* what was read last, for "expected X after Y" */
    const char *command; /* its name */
};

/* A word from a table; names are upper case and zero-padded. */
struct keyword {
    char name[16];
    uint32_t value;
};

/* Upper-cased and zero-padded like the tables; false if s does not fit. */
struct keyword_key {
    uint64_t w[2];
};
bool keyword_key(struct span s, struct keyword_key *ret);
/* Index in a table of n rows of `stride` bytes that begin with char name[16]; -1 if absent. */
int keyword_find(const void *table, size_t n, size_t stride, struct span s);
#define KEYWORD_FIND(table, s) keyword_find((table), ARRAY_LEN(table), sizeof((table)[0]), (s))

/* ---- failing ---- */
int parse_fail(struct parse *p, int code, const char *fmt, ...) printf_like(3, 4);
/* "expected WHAT after AFTER", with what was found instead. ERR_INVALID. */
int parse_expected(struct parse *p, const char *what);
int parse_spent(struct parse *p); /* the arena's budget: ERR_LIMIT */
int parse_too_many(struct parse *p, const char *what, unsigned limit);

/* A piece of input made fit for a reason. */
struct excerpt {
    char text[44];
};
struct excerpt parse_excerpt(struct span s);

/* ---- looking and taking ---- */
static inline bool parse_at_end(const struct parse *p)
{
    return p->p == p->end;
}

static inline bool parse_looking_at(const struct parse *p, char c)
{
    return p->p < p->end && *p->p == c;
}

static inline bool parse_take(struct parse *p, char c)
{
    if (!parse_looking_at(p, c))
        return false;
    p->p++;
    return true;
}

/* Nothing but spaces is left: clients put them at the end of a command, harmlessly. */
static inline bool parse_at_trailing(const struct parse *p)
{
    const char *q = p->p;
    while (q < p->end && *q == ' ')
        q++;
    return q == p->end;
}

/* The run of a class at the point; taken. Maybe empty. */
static inline struct span parse_run(struct parse *p, enum char_class class)
{
    size_t n = char_run(p->p, p->end, class);
    struct span s = {p->p, n};
    p->p += n;
    return s;
}

int parse_byte(struct parse *p, char c, const char *what);
int parse_sp(struct parse *p, const char *what); /* one SP before `what` */
int parse_end(struct parse *p);                  /* only spaces are left */

/* ---- tokens; `what` names them in reasons ---- */
int parse_atom(struct parse *p, const char *what, struct span *ret);
int parse_astring(struct parse *p, const char *what, struct span *ret);
int parse_string(struct parse *p, const char *what, struct span *ret);
int parse_mailbox(struct parse *p, struct span *ret);
int parse_list_mailbox(struct parse *p, struct span *ret); /* wildcards allowed */
int parse_number64(struct parse *p, const char *what, uint64_t *ret);
int parse_set(struct parse *p, struct seqset *ret);
int parse_flags(struct parse *p, bool bare_allowed, struct wire_flags *ret);

/* A literal's announcement and bytes; `streamed` (may be NULL: then an error) for "{n*}". */
struct literal {
    struct span data;
    uint64_t size;
    bool streamed, binary;
};
int parse_literal(struct parse *p, const char *what, bool streamed_allowed, struct literal *ret);

/* ---- growing arrays in the arena ---- */
struct grow {
    void *items;
    unsigned n, cap, limit;
    size_t size;
    const char *what; /* for "too many WHAT" */
};
#define GROW(type, max, name)                                                                      \
    {                                                                                              \
        NULL, 0, 0, (max), sizeof(type), (name)                                                    \
    }
/* Room for one more, zeroed; counted. NULL after parse_fail (ERR_LIMIT). */
void *grow_add(struct parse *p, struct grow *g);

/* ---- arguments of commands, by file ---- */
int parse_no_args(struct parse *p, struct command *c);
int parse_authenticate(struct parse *p, struct command *c);
int parse_login(struct parse *p, struct command *c);
int parse_language(struct parse *p, struct command *c);
int parse_enable(struct parse *p, struct command *c);
int parse_compress(struct parse *p, struct command *c);
int parse_uidbatches(struct parse *p, struct command *c);
int parse_conversions(struct parse *p, struct command *c);
int parse_convert(struct parse *p, struct command *c);
/* Behind "BODY[" or "BINARY[", by s->kind; "]" and <partial> are taken. */
int parse_section(struct parse *p, struct fetch_section *s);
int parse_id(struct parse *p, struct command *c);
int parse_one_mailbox(struct parse *p, struct command *c);
int parse_select(struct parse *p, struct command *c);
int parse_create(struct parse *p, struct command *c);
int parse_rename(struct parse *p, struct command *c);
int parse_status(struct parse *p, struct command *c);
int parse_status_items(struct parse *p, uint32_t *ret);
int parse_list(struct parse *p, struct command *c);
int parse_lsub(struct parse *p, struct command *c);
int parse_append(struct parse *p, struct command *c);
int parse_replace(struct parse *p, struct command *c);
int parse_genurlauth(struct parse *p, struct command *c);
int parse_urlfetch(struct parse *p, struct command *c);
int parse_resetkey(struct parse *p, struct command *c);
int parse_expunge(struct parse *p, struct command *c);
int parse_search(struct parse *p, struct command *c);
int parse_sort(struct parse *p, struct command *c);
int parse_thread(struct parse *p, struct command *c);
int parse_fetch(struct parse *p, struct command *c);
int parse_fetch_items(struct parse *p, struct cmd_fetch *fetch);
int parse_notify(struct parse *p, struct command *c);
int parse_comparator(struct parse *p, struct command *c);
int parse_esearch(struct parse *p, struct command *c);
/* filter-mailboxes of RFC 5465 section 8, with RFC 7377's additions: filter and names. */
int parse_filter_mailboxes(struct parse *p, struct notify_group *g);
/* RFC 9394 section 4: partial-range */
int parse_partial_range(struct parse *p, struct wire_partial *ret);
int parse_cancel_update(struct parse *p, struct command *c);
int parse_store(struct parse *p, struct command *c);
int parse_copy(struct parse *p, struct command *c);

int parse_getmetadata(struct parse *p, struct command *c);
int parse_setmetadata(struct parse *p, struct command *c);
int parse_metadata_entries(struct parse *p, const struct span **ret, unsigned *ret_n);
int parse_acl_who(struct parse *p, struct command *c);
int parse_setacl(struct parse *p, struct command *c);
int parse_getquota(struct parse *p, struct command *c);
int parse_setquota(struct parse *p, struct command *c);

/* parse_modifiers.c */
int parse_fetch_modifiers(struct parse *p, struct command *c);
int parse_store_modifiers(struct parse *p, struct cmd_store *s);
int parse_search_modseq(struct parse *p, uint64_t *ret);

#endif
