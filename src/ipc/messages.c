#include "ipc/messages.h"

#include "base/bytes.h"
#include "base/crc32c.h"

enum field_type { FIELD_END, FIELD_BOOL, FIELD_U32, FIELD_I32, FIELD_U64, FIELD_SPAN };

struct field {
    enum field_type type;
    size_t offset;
    size_t max; /* of a span */
};

enum { FIELDS_MAX = 16 };

struct schema {
    const char *name;
    enum fd_rule fd;
    struct field fields[FIELDS_MAX + 1];
};

#define AT(path) offsetof(struct message, u.path)
#define BOOL(path)                                                                                 \
    {                                                                                              \
        FIELD_BOOL, AT(path), 0                                                                    \
    }
#define U32(path)                                                                                  \
    {                                                                                              \
        FIELD_U32, AT(path), 0                                                                     \
    }
#define I32(path)                                                                                  \
    {                                                                                              \
        FIELD_I32, AT(path), 0                                                                     \
    }
#define U64(path)                                                                                  \
    {                                                                                              \
        FIELD_U64, AT(path), 0                                                                     \
    }
#define BYTES(path, max)                                                                           \
    {                                                                                              \
        FIELD_SPAN, AT(path), (max)                                                                \
    }

enum {
    PEER_MAX = 64,
    BINDING_MAX = 64,
    TEXT_MAX = 48 * 1024,
    MAILBOX_MAX = 1024,
    TAG_MAX = 1024,
    MECHANISMS_MAX = 1024,
    CLIENT_MAX = 1024
};

#define REMOTE(name, fd_rule)                                                                      \
    {                                                                                              \
        "REMOTE_" name, fd_rule,                                                                   \
        {                                                                                          \
            U64(remote.lease), U64(remote.id), U64(remote.modseq), U32(remote.mailbox),            \
                I32(remote.error), BYTES(remote.body, TEXT_MAX)                                    \
        }                                                                                          \
    }

static const struct schema schemas[MESSAGE_KIND_COUNT] = {
    [MESSAGE_CONFIG] = {"CONFIG",
                        MESSAGE_FD_NONE,
                        {BYTES(config.settings, TEXT_MAX), U32(config.index),
                         U32(config.mail_count), U32(config.generation)}},
    [MESSAGE_LISTENER] = {"LISTENER", MESSAGE_FD_REQUIRED, {U32(listener.kind), U32(listener.id)}},
    [MESSAGE_PEER] = {"PEER", MESSAGE_FD_REQUIRED, {U32(peer.role), U32(peer.index)}},
    [MESSAGE_START] = {"START", MESSAGE_FD_NONE, {{0}}},
    [MESSAGE_READY] = {"READY", MESSAGE_FD_NONE, {{0}}},
    [MESSAGE_REPLACE] = {"REPLACE", MESSAGE_FD_NONE, {{0}}},
    [MESSAGE_RELOADED] = {"RELOADED", MESSAGE_FD_NONE, {{0}}},
    [MESSAGE_RELOAD] = {"RELOAD", MESSAGE_FD_NONE, {{0}}},
    [MESSAGE_SHUTDOWN] = {"SHUTDOWN", MESSAGE_FD_NONE, {{0}}},
    [MESSAGE_UNLISTEN] = {"UNLISTEN", MESSAGE_FD_NONE, {U32(listener.id)}},
    [MESSAGE_METRICS] = {"METRICS", MESSAGE_FD_REQUIRED, {U32(metrics.role), U32(metrics.index)}},
    [MESSAGE_LOG] = {"LOG", MESSAGE_FD_REQUIRED, {{0}}},

    [MESSAGE_FULL] = {"FULL",
                      MESSAGE_FD_NONE,
                      {U32(load.connections), U32(load.sessions), U32(load.handshakes)}},
    [MESSAGE_RETIRE] = {"RETIRE", MESSAGE_FD_NONE, {{0}}},
    [MESSAGE_SHARE] = {"SHARE", MESSAGE_FD_NONE, {U32(load.connections)}},

    [MESSAGE_WORKNOTES] = {"WORKNOTES", MESSAGE_FD_REQUIRED, {{0}}},
    [MESSAGE_QUARANTINE] = {"QUARANTINE",
                            MESSAGE_FD_NONE,
                            {BYTES(quarantine.account, 16), U32(quarantine.seconds),
                             U32(quarantine.crashes)}},
    [MESSAGE_RELEASE] = {"RELEASE", MESSAGE_FD_NONE, {BYTES(quarantine.account, 16)}},

    [MESSAGE_AUTH_START] =
        {"AUTH_START",
         MESSAGE_FD_NONE,
         {U64(auth_start.id), U64(auth_start.session), BYTES(auth_start.mechanism, 32),
          BOOL(auth_start.has_initial), BYTES(auth_start.initial, SASL_DATA_MAX),
          BYTES(auth_start.service, 32), BYTES(auth_start.peer.address, PEER_MAX),
          BYTES(auth_start.peer.local, PEER_MAX), BOOL(auth_start.peer.tls),
          BOOL(auth_start.peer.secure), BYTES(auth_start.peer.binding_exporter, BINDING_MAX),
          BYTES(auth_start.peer.binding_unique, BINDING_MAX),
          BYTES(auth_start.peer.binding_endpoint, BINDING_MAX),
          BYTES(auth_start.peer.certificate_user, USER_NAME_MAX)}},
    [MESSAGE_AUTH_CHALLENGE] = {"AUTH_CHALLENGE",
                                MESSAGE_FD_NONE,
                                {U64(auth_data.id), BYTES(auth_data.data, SASL_DATA_MAX)}},
    [MESSAGE_AUTH_CONTINUE] = {"AUTH_CONTINUE",
                               MESSAGE_FD_NONE,
                               {U64(auth_data.id), BYTES(auth_data.data, SASL_DATA_MAX)}},
    [MESSAGE_AUTH_CANCEL] = {"AUTH_CANCEL",
                             MESSAGE_FD_NONE,
                             {U64(auth_end.id), U32(auth_end.failure)}},
    [MESSAGE_AUTH_OK] = {"AUTH_OK",
                         MESSAGE_FD_NONE,
                         {U64(auth_ok.id), BYTES(auth_ok.user, USER_NAME_MAX),
                          BYTES(auth_ok.login, USER_NAME_MAX), BYTES(auth_ok.data, SASL_DATA_MAX),
                          U64(auth_ok.voucher)}},
    [MESSAGE_AUTH_FAILED] = {"AUTH_FAILED",
                             MESSAGE_FD_NONE,
                             {U64(auth_end.id), U32(auth_end.failure)}},

    [MESSAGE_AUTH_MECHANISMS] = {"AUTH_MECHANISMS",
                                 MESSAGE_FD_NONE,
                                 {BYTES(mechanisms.list, MECHANISMS_MAX)}},

    [MESSAGE_TICKET_KEYS] = {"TICKET_KEYS",
                             MESSAGE_FD_NONE,
                             {BYTES(ticket_keys.current, TICKET_KEY_SIZE),
                              BYTES(ticket_keys.previous, TICKET_KEY_SIZE)}},
    [MESSAGE_CERTIFICATES] = {"CERTIFICATES",
                              MESSAGE_FD_NONE,
                              {U32(certificates.generation), U32(certificates.count),
                               BYTES(certificates.client_ca, CHAIN_MAX), U32(certificates.minimum),
                               U32(certificates.client_certificates), U32(certificates.client_user),
                               U64(certificates.ticket_lifetime)}},
    [MESSAGE_CERTIFICATE] = {"CERTIFICATE",
                             MESSAGE_FD_NONE,
                             {U32(certificate.generation), BYTES(certificate.chain, CHAIN_MAX)}},
    [MESSAGE_SIGN] = {"SIGN",
                      MESSAGE_FD_NONE,
                      {U64(sign.id), BYTES(sign.key, KEY_ID_SIZE), U32(sign.scheme),
                       BYTES(sign.data, SIGN_DATA_MAX)}},
    [MESSAGE_SIGNED] = {"SIGNED",
                        MESSAGE_FD_NONE,
                        {U64(signature.id), I32(signature.error),
                         BYTES(signature.signature, SIGNATURE_MAX)}},

    [MESSAGE_VOUCHER] = {"VOUCHER",
                         MESSAGE_FD_NONE,
                         {U64(voucher.id), U64(voucher.session),
                          BYTES(voucher.user, USER_NAME_MAX)}},
    [MESSAGE_HANDOVER] = {"HANDOVER",
                          MESSAGE_FD_REQUIRED,
                          {U64(handover.session), U64(handover.voucher),
                           BYTES(handover.user, USER_NAME_MAX), BYTES(handover.tag, TAG_MAX),
                           BOOL(handover.authenticate), BOOL(handover.tls),
                           BYTES(handover.tls_version, 16), BYTES(handover.peer, PEER_MAX),
                           BYTES(handover.login, USER_NAME_MAX), BYTES(handover.mechanism, 32),
                           BYTES(handover.client_name, CLIENT_MAX), U32(handover.language),
                           BOOL(handover.local), BOOL(handover.tls_ended),
                           BYTES(handover.input, HANDOVER_INPUT_MAX)}},

    [MESSAGE_USER_LOOKUP] = {"USER_LOOKUP",
                             MESSAGE_FD_NONE,
                             {U64(user_lookup.id), BYTES(user_lookup.name, USER_NAME_MAX)}},
    [MESSAGE_USER_FOUND] = {"USER_FOUND",
                            MESSAGE_FD_NONE,
                            {U64(user_found.id), I32(user_found.error),
                             BYTES(user_found.user, USER_NAME_MAX),
                             BYTES(user_found.detail, USER_NAME_MAX)}},

    [MESSAGE_RESOLVE] = {"RESOLVE",
                         MESSAGE_FD_NONE,
                         {U64(resolve.id), BYTES(resolve.user, USER_NAME_MAX),
                          BOOL(resolve.create)}},
    [MESSAGE_RESOLVED] = {"RESOLVED",
                          MESSAGE_FD_NONE,
                          {U64(resolved.id), I32(resolved.error), BYTES(resolved.account, 16)}},
    [MESSAGE_DELIVER] = {"DELIVER",
                         MESSAGE_FD_REQUIRED,
                         {U64(deliver.id), BYTES(deliver.user, USER_NAME_MAX),
                          BYTES(deliver.mailbox, MAILBOX_MAX), BYTES(deliver.header, 8192),
                          BYTES(deliver.delivery, 16), U64(deliver.size)}},
    [MESSAGE_DELIVERED] = {"DELIVERED", MESSAGE_FD_NONE, {U64(delivered.id), I32(delivered.error)}},

    [MESSAGE_CONTROL] = {"CONTROL",
                         MESSAGE_FD_OPTIONAL,
                         {U64(control.id), BYTES(control.verb, 64), BYTES(control.args, TEXT_MAX)}},
    [MESSAGE_CONTROL_RESULT] = {"CONTROL_RESULT",
                                MESSAGE_FD_OPTIONAL,
                                {U64(control_result.id), BOOL(control_result.final),
                                 I32(control_result.error), BYTES(control_result.text, TEXT_MAX)}},

    [MESSAGE_REMOTE_OPEN] = REMOTE("OPEN", MESSAGE_FD_NONE),
    [MESSAGE_REMOTE_FILE] = REMOTE("FILE", MESSAGE_FD_REQUIRED),
    [MESSAGE_REMOTE_REQUEST] = REMOTE("REQUEST", MESSAGE_FD_OPTIONAL),
    [MESSAGE_REMOTE_WATCH] = REMOTE("WATCH", MESSAGE_FD_NONE),
    [MESSAGE_REMOTE_RECENT] = REMOTE("RECENT", MESSAGE_FD_NONE),
    [MESSAGE_REMOTE_RELEASE] = REMOTE("RELEASE", MESSAGE_FD_NONE),
    [MESSAGE_REMOTE_OPENED] = REMOTE("OPENED", MESSAGE_FD_NONE),
    [MESSAGE_REMOTE_RESULT] = REMOTE("RESULT", MESSAGE_FD_OPTIONAL),
    [MESSAGE_REMOTE_CHANGED] = REMOTE("CHANGED", MESSAGE_FD_NONE),
    [MESSAGE_REMOTE_CLOSED] = REMOTE("CLOSED", MESSAGE_FD_NONE),

    [MESSAGE_SHARES] = {"SHARES",
                        MESSAGE_FD_NONE,
                        {U64(shares.id), BYTES(shares.user, USER_NAME_MAX)}},
    [MESSAGE_SHARED] = {"SHARED",
                        MESSAGE_FD_NONE,
                        {U64(shared.id), I32(shared.error), BYTES(shared.groups, SHARED_GROUPS_MAX),
                         BYTES(shared.owners, SHARED_OWNERS_MAX)}},
    [MESSAGE_GRANT] = {"GRANT",
                       MESSAGE_FD_NONE,
                       {U64(shares.id), BYTES(shares.user, USER_NAME_MAX),
                        BYTES(shares.identifier, USER_NAME_MAX + 7)}},
    [MESSAGE_RETURN] = {"RETURN",
                        MESSAGE_FD_REQUIRED,
                        {U64(give_back.session), BOOL(give_back.tls), BOOL(give_back.local),
                         BOOL(give_back.tls_ended), BYTES(give_back.peer, PEER_MAX),
                         BYTES(give_back.client_name, CLIENT_MAX),
                         BYTES(give_back.input, HANDOVER_INPUT_MAX)}},
    [MESSAGE_GRANTED] = {"GRANTED", MESSAGE_FD_NONE, {U64(shared.id), I32(shared.error)}},
};

/* Who may send what to whom. */
static const struct permit {
    enum role from, to;
    enum message_kind kinds[20];
} permits[] = {
    {ROLE_SUPERVISOR,
     ROLE_LOGIN,
     {MESSAGE_CONFIG, MESSAGE_LISTENER, MESSAGE_PEER, MESSAGE_START, MESSAGE_RELOAD,
      MESSAGE_SHUTDOWN, MESSAGE_UNLISTEN, MESSAGE_RETIRE, MESSAGE_SHARE, MESSAGE_METRICS,
      MESSAGE_LOG}},
    {ROLE_SUPERVISOR,
     ROLE_AUTH,
     {MESSAGE_CONFIG, MESSAGE_LISTENER, MESSAGE_UNLISTEN, MESSAGE_PEER, MESSAGE_START,
      MESSAGE_RELOAD, MESSAGE_SHUTDOWN, MESSAGE_METRICS, MESSAGE_LOG}},
    {ROLE_SUPERVISOR,
     ROLE_MAIL,
     {MESSAGE_CONFIG, MESSAGE_LISTENER, MESSAGE_PEER, MESSAGE_START, MESSAGE_RELOAD,
      MESSAGE_SHUTDOWN, MESSAGE_UNLISTEN, MESSAGE_WORKNOTES, MESSAGE_QUARANTINE, MESSAGE_METRICS,
      MESSAGE_LOG}},
    {ROLE_SUPERVISOR,
     ROLE_METRICS,
     {MESSAGE_CONFIG, MESSAGE_LISTENER, MESSAGE_START, MESSAGE_RELOAD, MESSAGE_SHUTDOWN,
      MESSAGE_UNLISTEN, MESSAGE_METRICS, MESSAGE_LOG}},
    {ROLE_METRICS, ROLE_SUPERVISOR, {MESSAGE_READY, MESSAGE_RELOADED}},
    {ROLE_LOGIN, ROLE_SUPERVISOR, {MESSAGE_READY, MESSAGE_RELOADED, MESSAGE_FULL}},
    {ROLE_AUTH, ROLE_SUPERVISOR, {MESSAGE_READY, MESSAGE_RELOADED, MESSAGE_REPLACE}},
    {ROLE_MAIL, ROLE_SUPERVISOR, {MESSAGE_READY, MESSAGE_RELOADED, MESSAGE_RELEASE}},
    {ROLE_LOGIN,
     ROLE_AUTH,
     {MESSAGE_AUTH_START, MESSAGE_AUTH_CONTINUE, MESSAGE_AUTH_CANCEL, MESSAGE_SIGN}},
    {ROLE_AUTH,
     ROLE_LOGIN,
     {MESSAGE_AUTH_CHALLENGE, MESSAGE_AUTH_OK, MESSAGE_AUTH_FAILED, MESSAGE_AUTH_MECHANISMS,
      MESSAGE_TICKET_KEYS, MESSAGE_CERTIFICATES, MESSAGE_CERTIFICATE, MESSAGE_SIGNED}},
    {ROLE_LOGIN, ROLE_MAIL, {MESSAGE_HANDOVER}},
    {ROLE_MAIL, ROLE_LOGIN, {MESSAGE_RETURN}},
    {ROLE_MAIL, ROLE_AUTH, {MESSAGE_USER_LOOKUP}},
    {ROLE_AUTH, ROLE_MAIL, {MESSAGE_USER_FOUND, MESSAGE_VOUCHER}},
    {ROLE_MAIL,
     ROLE_MAIL,
     {MESSAGE_RESOLVE, MESSAGE_RESOLVED, MESSAGE_DELIVER, MESSAGE_DELIVERED, MESSAGE_REMOTE_OPEN,
      MESSAGE_REMOTE_FILE, MESSAGE_REMOTE_REQUEST, MESSAGE_REMOTE_WATCH, MESSAGE_REMOTE_RECENT,
      MESSAGE_REMOTE_RELEASE, MESSAGE_REMOTE_OPENED, MESSAGE_REMOTE_RESULT, MESSAGE_REMOTE_CHANGED,
      MESSAGE_REMOTE_CLOSED, MESSAGE_SHARES, MESSAGE_SHARED, MESSAGE_GRANT, MESSAGE_GRANTED}},
    {ROLE_CTL, ROLE_MAIL, {MESSAGE_CONTROL}},
    {ROLE_MAIL, ROLE_CTL, {MESSAGE_CONTROL_RESULT}},
};

static const struct schema *schema_of(unsigned kind)
{
    return kind < MESSAGE_KIND_COUNT && schemas[kind].name ? &schemas[kind] : NULL;
}

const char *message_name(enum message_kind k)
{
    const struct schema *s = schema_of(k);
    return s ? s->name : "unknown";
}

const char *role_name(enum role r)
{
    static const char *const names[ROLE_COUNT] = {"supervisor", "login",   "auth",
                                                  "mail",       "metrics", "ctl"};
    return (unsigned)r < ROLE_COUNT ? names[r] : "unknown";
}

enum fd_rule message_fd_rule(enum message_kind k)
{
    const struct schema *s = schema_of(k);
    return s ? s->fd : MESSAGE_FD_NONE;
}

bool message_permitted(enum role from, enum role to, enum message_kind k)
{
    for (size_t i = 0; i < ARRAY_LEN(permits); i++) {
        if (permits[i].from != from || permits[i].to != to)
            continue;
        for (size_t n = 0; n < ARRAY_LEN(permits[i].kinds); n++)
            if (permits[i].kinds[n] == k && k != 0)
                return true;
    }
    return false;
}

static bool put_field(struct buf *out, const struct field *f, const char *base)
{
    const void *p = base + f->offset;
    switch (f->type) {
    case FIELD_BOOL:
        put_u8(out, *(const bool *)p);
        break;
    case FIELD_U32:
    case FIELD_I32:
        put_u32(out, load_le32(p));
        break;
    case FIELD_U64:
        put_u64(out, load_le64(p));
        break;
    case FIELD_SPAN:
        if (((const struct span *)p)->n > f->max)
            return false;
        put_blob(out, *(const struct span *)p);
        break;
    case FIELD_END:
        break;
    }
    return true;
}

int message_encode(const struct message *m, struct buf *out)
{
    const struct schema *s = schema_of(m->kind);
    invariant(s != NULL);
    size_t begin = out->n;
    put_u8(out, MESSAGE_VERSION);
    put_u8(out, (uint8_t)m->kind);
    bool fits = true;
    for (const struct field *f = s->fields; f->type != FIELD_END && fits; f++)
        fits = put_field(out, f, (const char *)m);
    if (!fits || !buf_ok(out) || out->n - begin > MESSAGE_MAX) {
        buf_truncate(out, begin);
        return ERR_LIMIT;
    }
    return 0;
}

static void get_field(struct reader *r, const struct field *f, char *base)
{
    void *p = base + f->offset;
    uint8_t byte;
    struct span blob;
    switch (f->type) {
    case FIELD_BOOL:
        byte = read_u8(r);
        r->bad |= byte > 1;
        *(bool *)p = byte == 1;
        break;
    case FIELD_U32:
    case FIELD_I32:
        store_le32(p, read_u32(r));
        break;
    case FIELD_U64:
        store_le64(p, read_u64(r));
        break;
    case FIELD_SPAN:
        blob = read_blob(r);
        r->bad |= blob.n > f->max;
        *(struct span *)p = blob;
        break;
    case FIELD_END:
        break;
    }
}

int message_decode(struct span packet, struct message *ret)
{
    struct reader r = reader_make(packet);
    struct message m;
    memset(&m, 0, sizeof(m));
    uint8_t version = read_u8(&r), kind = read_u8(&r);
    if (r.bad)
        return ERR_INVALID;
    if (version != MESSAGE_VERSION)
        return ERR_VERSION;
    const struct schema *s = schema_of(kind);
    if (!s)
        return ERR_INVALID;
    m.kind = (enum message_kind)kind;
    for (const struct field *f = s->fields; f->type != FIELD_END; f++)
        get_field(&r, f, (char *)&m);
    if (r.bad || reader_left(&r) != 0)
        return ERR_INVALID;
    *ret = m;
    return 0;
}

void control_args_put(struct buf *args, struct span arg)
{
    put_blob(args, arg);
}

bool control_args_next(struct span *args, struct span *ret)
{
    if (!args->n)
        return false;
    struct reader r = reader_make(*args);
    struct span arg = read_blob(&r);
    if (r.bad)
        return false;
    *ret = arg;
    *args = span_make(r.p, reader_left(&r));
    return true;
}

unsigned route_user(struct span user, unsigned n)
{
    return n ? crc32c(0, user.p, user.n) % n : 0;
}
