#include "wire/capability.h"

enum when {
    BEFORE = 1 << 0, /* before login */
    AFTER = 1 << 1,
    BOTH = BEFORE | AFTER,
    IF_STARTTLS = 1 << 2, /* TLS could be started here */
    IF_PLAINTEXT = 1 << 3,
    IF_NO_PLAINTEXT = 1 << 4,
    IF_LITERAL_PLUS = 1 << 5,
    IF_LITERAL_MINUS = 1 << 6,
    WITH_APPEND_LIMIT = 1 << 7, /* the number follows */
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
    {"STARTTLS", BEFORE | IF_STARTTLS},
    {"LOGINDISABLED", BEFORE | IF_NO_PLAINTEXT},
    {"AUTH=PLAIN", BEFORE | IF_PLAINTEXT},
    {"AUTH=LOGIN", BEFORE | IF_PLAINTEXT},
    {"IDLE", AFTER},
    {"NAMESPACE", AFTER},
    {"CHILDREN", AFTER},
    {"UNSELECT", AFTER},
    {"UIDPLUS", AFTER},
    {"ESEARCH", AFTER},
    {"SEARCHRES", AFTER},
    {"LIST-EXTENDED", AFTER},
    {"LIST-STATUS", AFTER},
    {"MOVE", AFTER},
    {"BINARY", AFTER},
    {"SPECIAL-USE", AFTER},
    {"CREATE-SPECIAL-USE", AFTER},
    {"STATUS=SIZE", AFTER},
    {"MULTIAPPEND", AFTER},
    {"CONDSTORE", AFTER},
    {"QRESYNC", AFTER},
    {"OBJECTID", AFTER},
    {"WITHIN", AFTER},
    {"APPENDLIMIT=", AFTER | WITH_APPEND_LIMIT},
};

void capability_write(struct buf *out, const struct capability_state *state)
{
    unsigned refused = (state->starttls && !state->tls ? 0 : IF_STARTTLS) |
                       (state->plaintext ? IF_NO_PLAINTEXT : IF_PLAINTEXT) |
                       (state->literal_minus ? IF_LITERAL_PLUS : IF_LITERAL_MINUS);
    bool first = true;
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
        unsigned when = capabilities[i].when;
        if (!(when & (state->authenticated ? AFTER : BEFORE)) || (when & refused))
            continue;
        if (!first)
            buf_put_byte(out, ' ');
        buf_put_str(out, capabilities[i].name);
        if (when & WITH_APPEND_LIMIT)
            buf_put_u64(out, state->append_limit);
        first = false;
    }
}
