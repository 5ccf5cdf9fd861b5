#include "wire/capability.h"

enum when {
    BEFORE = 1 << 0, /* before login */
    AFTER = 1 << 1,
    BOTH = BEFORE | AFTER,
    IF_STARTTLS = 1 << 2,    /* TLS could be started here */
    EACH_MECHANISM = 1 << 3, /* the name is followed by that of each */
    IF_NO_PLAINTEXT = 1 << 4,
    IF_LITERAL_PLUS = 1 << 5,
    IF_LITERAL_MINUS = 1 << 6,
    WITH_APPEND_LIMIT = 1 << 7, /* the number follows */
    IF_REFERRALS = 1 << 19,
    IF_UTF8_ACCEPT = 1 << 20,
    IF_UTF8_ONLY = 1 << 21,
    WITH_SAVE_LIMIT = 1 << 22,
    WITH_MESSAGE_LIMIT = 1 << 23,
    IF_NOT_COMPRESSED = 1 << 24,
};

static const struct {
    const char *name;
    unsigned when;
} capabilities[] = {
    {"IMAP4rev1", BOTH},
    {"IMAP4rev2", BOTH},
    {"LITERAL+", BOTH | IF_LITERAL_PLUS},
    {"LITERAL-", BOTH | IF_LITERAL_MINUS},
    {"SASL-IR", BOTH},
    {"ENABLE", BOTH},
    {"ID", BOTH},
    {"LANGUAGE", BOTH},
    {"LOGIN-REFERRALS", BEFORE | IF_REFERRALS},
    {"STARTTLS", BEFORE | IF_STARTTLS},
    {"LOGINDISABLED", BEFORE | IF_NO_PLAINTEXT},
    {"AUTH=", BEFORE | EACH_MECHANISM},
    {"IDLE", AFTER},
    {"NAMESPACE", AFTER},
    {"CHILDREN", AFTER},
    {"UNSELECT", AFTER},
    {"UIDPLUS", AFTER},
    {"ESEARCH", AFTER},
    {"MULTISEARCH", AFTER},
    {"SEARCHRES", AFTER},
    {"LIST-EXTENDED", AFTER},
    {"LIST-STATUS", AFTER},
    {"MOVE", AFTER},
    {"BINARY", AFTER},
    {"SPECIAL-USE", AFTER},
    {"CREATE-SPECIAL-USE", AFTER},
    {"STATUS=SIZE", AFTER},
    {"MULTIAPPEND", AFTER},
    {"CATENATE", AFTER},
    {"URL-PARTIAL", AFTER},
    {"URLAUTH", AFTER},
    {"URLAUTH=BINARY", AFTER},
    {"REPLACE", AFTER},
    {"CONDSTORE", AFTER},
    {"QRESYNC", AFTER},
    {"OBJECTID", AFTER},
    {"METADATA", AFTER},
    {"LIST-METADATA", AFTER},
    {"FILTERS", AFTER},
    {"QUOTA", AFTER},
    {"QUOTA=RES-STORAGE", AFTER},
    {"QUOTA=RES-MESSAGE", AFTER},
    {"QUOTA=RES-MAILBOX", AFTER},
    {"QUOTA=RES-ANNOTATION-STORAGE", AFTER},
    {"QUOTASET", AFTER},
    {"WITHIN", AFTER},
    {"SEARCH=FUZZY", AFTER},
    {"SORT", AFTER},
    {"SORT=DISPLAY", AFTER},
    {"ESORT", AFTER},
    {"I18NLEVEL=1", AFTER},
    {"I18NLEVEL=2", AFTER},
    {"THREAD=ORDEREDSUBJECT", AFTER},
    {"THREAD=REFERENCES", AFTER},
    {"THREAD=REFS", AFTER},
    {"INPROGRESS", AFTER},
    {"NOTIFY", AFTER},
    {"COMPRESS=DEFLATE", AFTER},
    {"UNAUTHENTICATE", AFTER | IF_NOT_COMPRESSED},
    {"CONTEXT=SEARCH", AFTER},
    {"CONTEXT=SORT", AFTER},
    {"UIDONLY", AFTER},
    {"PARTIAL", AFTER},
    {"PREVIEW", AFTER},
    {"CONVERT", AFTER},
    {"UIDBATCHES", AFTER},
    {"SAVEDATE", AFTER},
    {"SAVELIMIT=", AFTER | WITH_SAVE_LIMIT},
    {"MESSAGELIMIT=", AFTER | WITH_MESSAGE_LIMIT},
    {"UTF8=ACCEPT", AFTER | IF_UTF8_ACCEPT},
    {"UTF8=ONLY", AFTER | IF_UTF8_ONLY},
    {"ACL", AFTER},
    {"RIGHTS=kxte", AFTER},
    {"LIST-MYRIGHTS", AFTER},
    {"APPENDLIMIT=", AFTER | WITH_APPEND_LIMIT},
};

static void put(struct buf *out, size_t begin, const char *name, struct span more)
{
    if (out->n > begin)
        buf_put_byte(out, ' ');
    buf_put_str(out, name);
    buf_put_span(out, more);
}

static void put_each(struct buf *out, size_t begin, const char *name, struct span mechanisms)
{
    struct span one;
    while (span_split(&mechanisms, ' ', &one))
        if (one.n)
            put(out, begin, name, one);
}

void capability_write(struct buf *out, const struct capability_state *state)
{
    unsigned refused = (state->starttls && !state->tls ? 0 : IF_STARTTLS) |
                       (state->utf8 == CAPABILITY_UTF8_ACCEPT ? 0 : IF_UTF8_ACCEPT) |
                       (state->utf8 == CAPABILITY_UTF8_ONLY ? 0 : IF_UTF8_ONLY) |
                       (state->referrals ? 0 : IF_REFERRALS) |
                       (state->compressed ? IF_NOT_COMPRESSED : 0) |
                       (state->message_limit ? WITH_SAVE_LIMIT : WITH_MESSAGE_LIMIT) |
                       (state->plaintext ? IF_NO_PLAINTEXT : 0) |
                       (state->literal_minus ? IF_LITERAL_PLUS : IF_LITERAL_MINUS);
    size_t begin = out->n;
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
        unsigned when = capabilities[i].when;
        if (!(when & (state->authenticated ? AFTER : BEFORE)) || (when & refused))
            continue;
        if (when & EACH_MECHANISM)
            put_each(out, begin, capabilities[i].name, state->mechanisms);
        else
            put(out, begin, capabilities[i].name, SPAN_EMPTY);
        if (when & WITH_APPEND_LIMIT)
            buf_put_u64(out, state->append_limit);
        if (when & (WITH_SAVE_LIMIT | WITH_MESSAGE_LIMIT))
            buf_put_u64(out, when & WITH_SAVE_LIMIT ? state->save_limit : state->message_limit);
    }
}
