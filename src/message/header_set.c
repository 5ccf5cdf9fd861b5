/* Known field names and compiled sets of names. */
#include "message/header_int.h"

_Static_assert(HEADER_ID_COUNT <= 128, "struct header_set has 128 bits");

static const char *const names[HEADER_ID_COUNT] = {
    [HEADER_OTHER] = "",
    [HEADER_DATE] = "Date",
    [HEADER_FROM] = "From",
    [HEADER_SENDER] = "Sender",
    [HEADER_REPLY_TO] = "Reply-To",
    [HEADER_TO] = "To",
    [HEADER_CC] = "Cc",
    [HEADER_BCC] = "Bcc",
    [HEADER_SUBJECT] = "Subject",
    [HEADER_MESSAGE_ID] = "Message-ID",
    [HEADER_IN_REPLY_TO] = "In-Reply-To",
    [HEADER_REFERENCES] = "References",
    [HEADER_NEWSGROUPS] = "Newsgroups",
    [HEADER_FOLLOWUP_TO] = "Followup-To",
    [HEADER_CONTENT_TYPE] = "Content-Type",
    [HEADER_CONTENT_TRANSFER_ENCODING] = "Content-Transfer-Encoding",
    [HEADER_CONTENT_DISPOSITION] = "Content-Disposition",
    [HEADER_CONTENT_ID] = "Content-ID",
    [HEADER_CONTENT_DESCRIPTION] = "Content-Description",
    [HEADER_CONTENT_LANGUAGE] = "Content-Language",
    [HEADER_CONTENT_LOCATION] = "Content-Location",
    [HEADER_CONTENT_MD5] = "Content-MD5",
    [HEADER_CONTENT_CLASS] = "Content-Class",
    [HEADER_MIME_VERSION] = "MIME-Version",
    [HEADER_PRIORITY] = "Priority",
    [HEADER_X_PRIORITY] = "X-Priority",
    [HEADER_IMPORTANCE] = "Importance",
    [HEADER_X_MAILER] = "X-Mailer",
    [HEADER_USER_AGENT] = "User-Agent",
    [HEADER_LIST_ID] = "List-Id",
    [HEADER_LIST_POST] = "List-Post",
    [HEADER_LIST_UNSUBSCRIBE] = "List-Unsubscribe",
    [HEADER_LIST_UNSUBSCRIBE_POST] = "List-Unsubscribe-Post",
    [HEADER_DISPOSITION_NOTIFICATION_TO] = "Disposition-Notification-To",
    [HEADER_RETURN_PATH] = "Return-Path",
    [HEADER_DELIVERED_TO] = "Delivered-To",
    [HEADER_X_ORIGINAL_TO] = "X-Original-To",
    [HEADER_RESENT_DATE] = "Resent-Date",
    [HEADER_RESENT_FROM] = "Resent-From",
    [HEADER_RESENT_SENDER] = "Resent-Sender",
    [HEADER_RESENT_TO] = "Resent-To",
    [HEADER_RESENT_CC] = "Resent-Cc",
    [HEADER_RESENT_BCC] = "Resent-Bcc",
    [HEADER_RESENT_MESSAGE_ID] = "Resent-Message-ID",
    [HEADER_MAIL_FOLLOWUP_TO] = "Mail-Followup-To",
    [HEADER_MAIL_REPLY_TO] = "Mail-Reply-To",
    [HEADER_X_SPAM_FLAG] = "X-Spam-Flag",
    [HEADER_X_SPAM_STATUS] = "X-Spam-Status",
    [HEADER_AUTO_SUBMITTED] = "Auto-Submitted",
    [HEADER_PRECEDENCE] = "Precedence",
    [HEADER_ORGANIZATION] = "Organization",
    [HEADER_ERRORS_TO] = "Errors-To",
    [HEADER_THREAD_TOPIC] = "Thread-Topic",
    [HEADER_THREAD_INDEX] = "Thread-Index",
    [HEADER_SENSITIVITY] = "Sensitivity",
    [HEADER_X_MS_HAS_ATTACH] = "X-MS-Has-Attach",
    [HEADER_X_UNIFORM_TYPE_IDENTIFIER] = "X-Uniform-Type-Identifier",
    [HEADER_X_UNIVERSALLY_UNIQUE_IDENTIFIER] = "X-Universally-Unique-Identifier",
};

/* The same by length, so that a lookup compares a handful of names at most. */
static const uint8_t by_length[32][10] = {
    [2] = {HEADER_TO, HEADER_CC},
    [3] = {HEADER_BCC},
    [4] = {HEADER_FROM, HEADER_DATE},
    [6] = {HEADER_SENDER},
    [7] = {HEADER_SUBJECT, HEADER_LIST_ID},
    [8] = {HEADER_REPLY_TO, HEADER_PRIORITY, HEADER_X_MAILER},
    [9] = {HEADER_LIST_POST, HEADER_RESENT_TO, HEADER_RESENT_CC, HEADER_ERRORS_TO},
    [10] = {HEADER_MESSAGE_ID, HEADER_REFERENCES, HEADER_NEWSGROUPS, HEADER_CONTENT_ID,
            HEADER_X_PRIORITY, HEADER_IMPORTANCE, HEADER_USER_AGENT, HEADER_RESENT_BCC,
            HEADER_PRECEDENCE},
    [11] = {HEADER_IN_REPLY_TO, HEADER_FOLLOWUP_TO, HEADER_CONTENT_MD5, HEADER_RETURN_PATH,
            HEADER_RESENT_DATE, HEADER_RESENT_FROM, HEADER_X_SPAM_FLAG, HEADER_SENSITIVITY},
    [12] = {HEADER_CONTENT_TYPE, HEADER_MIME_VERSION, HEADER_DELIVERED_TO, HEADER_ORGANIZATION,
            HEADER_THREAD_TOPIC, HEADER_THREAD_INDEX},
    [13] = {HEADER_CONTENT_CLASS, HEADER_X_ORIGINAL_TO, HEADER_RESENT_SENDER, HEADER_MAIL_REPLY_TO,
            HEADER_X_SPAM_STATUS},
    [14] = {HEADER_AUTO_SUBMITTED},
    [15] = {HEADER_X_MS_HAS_ATTACH},
    [16] = {HEADER_CONTENT_LANGUAGE, HEADER_CONTENT_LOCATION, HEADER_LIST_UNSUBSCRIBE,
            HEADER_MAIL_FOLLOWUP_TO},
    [17] = {HEADER_RESENT_MESSAGE_ID},
    [19] = {HEADER_CONTENT_DISPOSITION, HEADER_CONTENT_DESCRIPTION},
    [21] = {HEADER_LIST_UNSUBSCRIBE_POST},
    [25] = {HEADER_CONTENT_TRANSFER_ENCODING, HEADER_X_UNIFORM_TYPE_IDENTIFIER},
    [27] = {HEADER_DISPOSITION_NOTIFICATION_TO},
    [31] = {HEADER_X_UNIVERSALLY_UNIQUE_IDENTIFIER},
};

/* Compares n bytes of a name with a known one; a mismatch usually shows in the first or last byte.
 */
static bool name_is(const char *p, const char *known, size_t n)
{
    if (((p[0] ^ known[0]) & ~0x20) | ((p[n - 1] ^ known[n - 1]) & ~0x20))
        return false;
    for (size_t i = 0; i < n; i++)
        if (ascii_lower((unsigned char)p[i]) != ascii_lower((unsigned char)known[i]))
            return false;
    return true;
}

enum header_id header_id(struct span name)
{
    if (name.n >= ARRAY_LEN(by_length))
        return HEADER_OTHER;
    for (const uint8_t *id = by_length[name.n]; *id; id++)
        if (name_is(name.p, names[*id], name.n))
            return *id;
    return HEADER_OTHER;
}

struct span header_id_name(enum header_id id)
{
    return (unsigned)id < HEADER_ID_COUNT ? span_str(names[id]) : SPAN_EMPTY;
}

struct name_bits header_name_bits(struct span name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a: stored, so without a seed */
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ ascii_lower((unsigned char)name.p[i])) * UINT64_C(0x100000001b3);
    struct name_bits b = {{0, 0}};
    for (int i = 0; i < 2; i++) {
        unsigned bit = (unsigned)(h >> (20 + 24 * i)) & 127;
        b.w[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
    return b;
}

void header_set_init(struct header_set *set, const struct span *list, size_t n)
{
    *set = (struct header_set){{0, 0}, 0, NULL};
    for (size_t i = 0; i < n; i++) {
        enum header_id id = header_id(list[i]);
        if (id != HEADER_OTHER) {
            set->known[id / 64] |= UINT64_C(1) << (id % 64);
            continue;
        }
        if (header_set_has(set, list[i]))
            continue;
        set->other = xrealloc_array(set->other, set->n_other + 1, sizeof(*set->other));
        set->other[set->n_other++] = (struct header_set_name){
            span_make(span_dup(list[i]), list[i].n), header_name_bits(list[i])};
    }
}

void header_set_done(struct header_set *set)
{
    for (size_t i = 0; i < set->n_other; i++)
        free((void *)(uintptr_t)set->other[i].name.p);
    free(set->other);
    *set = (struct header_set){{0, 0}, 0, NULL};
}

bool header_set_has(const struct header_set *set, struct span name)
{
    enum header_id id = header_id(name);
    if (id != HEADER_OTHER)
        return set->known[id / 64] >> (id % 64) & 1;
    for (size_t i = 0; i < set->n_other; i++)
        if (span_ieq(set->other[i].name, name))
            return true;
    return false;
}
