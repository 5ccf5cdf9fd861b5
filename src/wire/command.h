/* wire/command.h: IMAP commands as typed values (RFC 9051, RFC 3501; RFC 2971, 3502, 5258, 6154).
 *
 * command_parse() turns the text of one command (FRAME_COMMAND of wire/frame.h) into a struct
 * command. All strings are decoded: quoting and literals are resolved; mailbox names and patterns
 * are still in the session's wire form (see mailbox_name_decode in wire/mutf7.h).
 *
 * Ownership: everything is allocated in the arena; spans point into the text or the arena, so a
 * command that outlives the framer's buffer needs its text copied into the arena first
 * (command_parse_copy). Limits: struct parse_limits; memory is bounded by the arena's budget.
 * Failure: ERR_INVALID (answer BAD) or ERR_LIMIT (a limit or the arena's budget), with a reason for
 * people. No recursion. Pure; any thread.
 *
 * A new command is a row in command_table.c, a parse function, and a struct in the union. */
#ifndef WIRE_COMMAND_H
#define WIRE_COMMAND_H

#include "base/arena.h"
#include "base/err.h"
#include "wire/flag.h"
#include "wire/seqset.h"

enum command_id {
    CMD_NONE,
    /* any state */
    CMD_CAPABILITY,
    CMD_NOOP,
    CMD_LOGOUT,
    CMD_ID,
    CMD_LANGUAGE,
    /* not authenticated */
    CMD_STARTTLS,
    CMD_AUTHENTICATE,
    CMD_LOGIN,
    /* authenticated */
    CMD_ENABLE,
    CMD_SELECT,
    CMD_EXAMINE,
    CMD_CREATE,
    CMD_DELETE,
    CMD_RENAME,
    CMD_SUBSCRIBE,
    CMD_UNSUBSCRIBE,
    CMD_LIST,
    CMD_LSUB,
    CMD_NAMESPACE,
    CMD_STATUS,
    CMD_APPEND,
    CMD_GETQUOTA,
    CMD_GETQUOTAROOT,
    CMD_SETQUOTA,
    CMD_GENURLAUTH,
    CMD_URLFETCH,
    CMD_RESETKEY,
    CMD_GETMETADATA,
    CMD_SETMETADATA,
    CMD_GETACL,
    CMD_MYRIGHTS,
    CMD_LISTRIGHTS,
    CMD_SETACL,
    CMD_DELETEACL,
    CMD_IDLE,
    CMD_COMPRESS,
    CMD_UNAUTHENTICATE,
    /* selected */
    CMD_CHECK,
    CMD_CLOSE,
    CMD_UNSELECT,
    CMD_UIDBATCHES,
    CMD_EXPUNGE,
    CMD_SEARCH,
    CMD_SORT,
    CMD_FETCH,
    CMD_STORE,
    CMD_COPY,
    CMD_MOVE,
    CMD_REPLACE,
    CMD_NOTIFY,       /* authenticated */
    CMD_CANCELUPDATE, /* selected */
    CMD_THREAD,
    CMD_ESEARCH, /* authenticated */
    CMD_COMPARATOR,
    CMD_CONVERSIONS, /* authenticated */
    CMD_CONVERT,
    CMD_COUNT,
};

enum command_states {
    CMD_IN_NOT_AUTH = 1,
    CMD_IN_AUTH = 2,
    CMD_IN_SELECTED = 4,
    CMD_IN_ANY = 7,
};

struct parse;
struct command;

struct command_desc {
    char name[16]; /* upper case, zero-padded */
    enum command_id id;
    uint8_t states;                                   /* CMD_IN_ */
    uint8_t forms;                                    /* CMD_PLAIN, CMD_UID */
    int (*parse)(struct parse *p, struct command *c); /* the arguments */
};

enum command_forms {
    CMD_PLAIN = 1, /* may stand alone */
    CMD_UID = 2,   /* may follow UID */
};

const struct command_desc *command_desc(enum command_id id); /* never NULL for a valid id */
const struct command_desc *command_lookup(struct span name); /* any case; NULL if unknown */

/* ---- arguments ---- */

struct cmd_authenticate {
    struct span mechanism; /* as sent; compare ignoring case */
    bool has_initial;      /* SASL-IR, RFC 4959 */
    struct span initial;   /* base64 text; empty for "=" (an empty initial response) */
};

struct cmd_login {
    struct span user, password;
};

struct cmd_enable {
    const struct span *names;
    unsigned n;
};

struct cmd_language { /* RFC 5255 section 3.2 */
    const struct span *ranges;
    unsigned n; /* 0: which are there? */
};

struct cmd_comparator { /* RFC 5255 section 4.7 */
    const struct span *orders;
    unsigned n; /* 0: which is it? */
};

struct id_pair {
    struct span field, value;
    bool nil; /* value is NIL */
};

struct cmd_id {                  /* RFC 2971 */
    const struct id_pair *pairs; /* none for NIL or () */
    unsigned n;
};

struct cmd_mailbox { /* DELETE SUBSCRIBE UNSUBSCRIBE */
    struct span name;
};

struct cmd_select { /* SELECT EXAMINE; parameters of RFC 7162 sections 3.1.8 and 3.2.5 */
    struct span name;
    bool condstore;
    bool qresync; /* with what the client knows: */
    bool has_known;
    uint32_t uidvalidity;
    uint64_t modseq;
    struct seqset known;                  /* UIDs */
    struct seqset match_seqs, match_uids; /* of the same length; empty: none */
};

/* RFC 6154, RFC 8457 */
enum wire_use {
    WIRE_USE_ALL = 1 << 0,
    WIRE_USE_ARCHIVE = 1 << 1,
    WIRE_USE_DRAFTS = 1 << 2,
    WIRE_USE_FLAGGED = 1 << 3,
    WIRE_USE_JUNK = 1 << 4,
    WIRE_USE_SENT = 1 << 5,
    WIRE_USE_TRASH = 1 << 6,
    WIRE_USE_IMPORTANT = 1 << 7,
};

struct cmd_create {
    struct span name;
    bool has_use;            /* USE (...) was given, perhaps empty */
    uint32_t use;            /* USE_ bits */
    struct span unknown_use; /* the first attribute that is none of them: NO [USEATTR] */
};

struct cmd_rename {
    struct span from, to;
};

enum status_item { /* RFC 9051 6.3.11 and RECENT of RFC 3501 */
                   STATUS_MESSAGES = 1 << 0,
                   STATUS_RECENT = 1 << 1,
                   STATUS_UIDNEXT = 1 << 2,
                   STATUS_UIDVALIDITY = 1 << 3,
                   STATUS_UNSEEN = 1 << 4,
                   STATUS_DELETED = 1 << 5,
                   STATUS_SIZE = 1 << 6,
                   STATUS_HIGHESTMODSEQ = 1 << 7,    /* RFC 7162 section 3.1.7 */
                   STATUS_MAILBOXID = 1 << 8,        /* RFC 8474 section 4.3 */
                   STATUS_APPENDLIMIT = 1 << 9,      /* RFC 7889 section 3.1 */
                   STATUS_DELETED_STORAGE = 1 << 10, /* RFC 9208 section 4.1.4 */
};

struct cmd_status {
    struct span name;
    uint32_t items;
};

enum list_select {
    LIST_SELECT_SUBSCRIBED = 1 << 0,
    LIST_SELECT_REMOTE = 1 << 1,
    LIST_SELECT_RECURSIVEMATCH = 1 << 2, /* only together with SUBSCRIBED or SPECIAL_USE */
    LIST_SELECT_SPECIAL_USE = 1 << 3,
};

enum list_return {
    LIST_RETURN_SUBSCRIBED = 1 << 0,
    LIST_RETURN_CHILDREN = 1 << 1,
    LIST_RETURN_SPECIAL_USE = 1 << 2,
    LIST_RETURN_STATUS = 1 << 3,
    LIST_RETURN_METADATA = 1 << 8, /* RFC 9590 */
    LIST_RETURN_MYRIGHTS = 1 << 9, /* RFC 8440 */
};

struct cmd_list { /* LIST, and LSUB with one pattern */
    struct span reference;
    const struct span *patterns;
    unsigned n_patterns;
    uint32_t select, ret; /* LIST_SELECT_, LIST_RETURN_ */
    uint32_t status_items;
    const struct span *entries; /* of METADATA */
    unsigned n_entries;
    bool
        extended; /* selection options, several patterns or RETURN were given (RFC 5258 section 3):
                   * an empty pattern is then an ordinary one, not the question for the separator */
};

/* Bytes that a client sends as a literal of APPEND. */
struct append_bytes {
    bool streamed; /* they went by as FRAME_LITERAL_DATA number `index`; else they are in `data` */
    bool binary;   /* literal8 */
    bool utf8;     /* UTF8 (...), RFC 6855 section 4 */
    unsigned index;
    uint64_t size;
    struct span data;
};

struct append_piece { /* RFC 4469: a part of a message, one after the other */
    bool is_url;
    struct span url;
    struct append_bytes text;
};

struct append_part {
    struct wire_flags flags;
    bool has_flags, has_date;
    bool catenate; /* made of pieces; else: */
    const struct append_piece *pieces;
    unsigned n_pieces;
    struct append_bytes bytes;
    int64_t date; /* seconds since 1970 */
    int zone;     /* minutes east */
};

struct cmd_append {         /* APPEND, REPLACE */
    struct seqset replaced; /* of REPLACE (RFC 8508): one message number or UID, or "*" */
    struct span name;
    const struct append_part *messages;
    unsigned n;
    bool incomplete; /* the text ends behind a streamed literal within parentheses: only the text of
                      * FRAME_LITERAL_ASK may */
};

enum urlfetch_item { /* RFC 5524; none: the simple form */
                     URLFETCH_BODY = 1 << 0,
                     URLFETCH_BINARY = 1 << 1,
                     URLFETCH_STRUCTURE = 1 << 2, /* BODYPARTSTRUCTURE */
};

struct url_request {
    struct span url;       /* see wire/url.h */
    struct span mechanism; /* GENURLAUTH */
    uint32_t items;        /* URLFETCH: URLFETCH_ bits */
};

struct cmd_urls { /* GENURLAUTH, URLFETCH */
    const struct url_request *urls;
    unsigned n;
};

struct cmd_resetkey {
    bool has_name;
    struct span name;
    const struct span *mechanisms;
    unsigned n;
};

struct cmd_expunge {
    struct seqset set; /* UID EXPUNGE only */
};

/* SEARCH: a tree in an array. Node 0 is the root, a KEY_AND of the program's keys. Children of a
 * node are `child`, then each child's `next`; 0 ends (0 is nobody's child). Parents come before
 * their children. NOT is not a node: it toggles `negated`; UNSEEN is a negated SEEN, NEW is RECENT
 * and not SEEN, OLD is a negated RECENT. */
enum search_key {
    KEY_AND, /* children */
    KEY_OR,  /* two children */
    KEY_ALL,
    KEY_FLAG,    /* number: one WIRE_FLAG_ bit, \Recent included */
    KEY_KEYWORD, /* text */
    KEY_BCC,     /* text, as are the following */
    KEY_BODY,
    KEY_CC,
    KEY_FROM,
    KEY_SUBJECT,
    KEY_TEXT,
    KEY_TO,
    KEY_HEADER, /* field, text; an empty text: the field exists */
    KEY_BEFORE, /* day, as are the following */
    KEY_ON,
    KEY_SINCE,
    KEY_SENTBEFORE,
    KEY_SENTON,
    KEY_SENTSINCE,
    KEY_LARGER, /* number */
    KEY_SMALLER,
    KEY_SEQ,    /* set of message numbers */
    KEY_UID,    /* set of UIDs */
    KEY_MODSEQ, /* number; RFC 7162 section 3.1.5 */
    KEY_OLDER,  /* number of seconds; RFC 5032 */
    KEY_YOUNGER,
    KEY_EMAILID, /* text; RFC 8474 section 6 */
    KEY_THREADID,
    KEY_SAVEDBEFORE, /* day, as are the following; RFC 8514 section 4.3 */
    KEY_SAVEDON,
    KEY_SAVEDSINCE,
    KEY_UIDAFTER, /* set: one UID, or "$"; RFC 9738 */
    KEY_UIDBEFORE,
    KEY_FILTER, /* text: the filter's name; RFC 5466 */
};

struct search_node {
    enum search_key key;
    bool negated;
    bool fuzzy; /* RFC 6203: it stands behind FUZZY, or within what does */
    uint32_t child, next;
    union {
        struct {
            struct span field, text; /* in the command's charset */
        };
        uint64_t number;
        int32_t day; /* days since 1970-01-01 */
        struct seqset set;
    };
};

enum search_return {
    SEARCH_RETURN_MIN = 1 << 0,
    SEARCH_RETURN_MAX = 1 << 1,
    SEARCH_RETURN_ALL = 1 << 2,
    SEARCH_RETURN_COUNT = 1 << 3,
    SEARCH_RETURN_SAVE = 1 << 4,
    SEARCH_RETURN_PARTIAL = 1 << 5,
    SEARCH_RETURN_UPDATE = 1 << 6,
    SEARCH_RETURN_CONTEXT = 1 << 7,
    SEARCH_RETURN_RELEVANCY = 1 << 8, /* RFC 6203 section 4 */
};

/* Places among results, from 1 (RFC 5267 section 4.4), or from the end (RFC 9394 section 3.1). */
struct wire_partial {
    bool from_end;
    uint32_t first, last; /* first <= last */
    struct span text;     /* as it was sent: "1:500", "-1:-100" */
};

enum sort_key { /* RFC 5256 section 3, RFC 5957 section 4 */
                SORT_ARRIVAL,
                SORT_CC,
                SORT_DATE,
                SORT_FROM,
                SORT_SIZE,
                SORT_SUBJECT,
                SORT_TO,
                SORT_DISPLAYFROM,
                SORT_DISPLAYTO,
                SORT_RELEVANCY, /* RFC 6203 section 6 */
};

struct sort_criterion {
    enum sort_key key;
    bool reverse;
    bool inverted; /* not from the command: the comparator orders text the other way */
};

enum thread_algorithm { /* RFC 5256 section 3; REFS: draft-ietf-morg-inthread */
                        THREAD_NONE,
                        THREAD_ORDEREDSUBJECT,
                        THREAD_REFERENCES,
                        THREAD_REFS,
};

struct notify_group;

struct cmd_search {                     /* SEARCH, SORT, THREAD, ESEARCH */
    const struct notify_group *sources; /* of ESEARCH: where; none: the selected mailbox */
    unsigned n_sources;
    enum thread_algorithm thread;      /* of THREAD, else THREAD_NONE */
    const struct sort_criterion *sort; /* of SORT, else NULL */
    unsigned n_sort;
    bool has_return; /* RETURN (...) was given: answer ESEARCH; RETURN () leaves ret ALL */
    uint32_t ret;    /* SEARCH_RETURN_ */
    struct wire_partial partial; /* SEARCH_RETURN_PARTIAL */
    struct span update;          /* FETCH items behind UPDATE, "(UID FLAGS)"; empty: none */
    struct span charset;         /* empty: not given */
    const struct search_node *nodes;
    uint32_t n_nodes;
};

enum fetch_att {
    FETCH_UID = 1 << 0,
    FETCH_FLAGS = 1 << 1,
    FETCH_INTERNALDATE = 1 << 2,
    FETCH_RFC822_SIZE = 1 << 3,
    FETCH_ENVELOPE = 1 << 4,
    FETCH_BODY = 1 << 5, /* structure without extension data */
    FETCH_BODYSTRUCTURE = 1 << 6,
    FETCH_RFC822 = 1 << 7,        /* as BODY[], sets \Seen */
    FETCH_RFC822_HEADER = 1 << 8, /* as BODY.PEEK[HEADER] */
    FETCH_RFC822_TEXT = 1 << 9,   /* as BODY[TEXT], sets \Seen */
    FETCH_MODSEQ = 1 << 10,       /* RFC 7162 section 3.1.4.2 */
    FETCH_EMAILID = 1 << 11,      /* RFC 8474 section 5.3 */
    FETCH_THREADID = 1 << 12,
    FETCH_SAVEDATE = 1 << 13, /* RFC 8514 section 4.2 */
    FETCH_PREVIEW = 1 << 14,  /* RFC 8970 section 3.1 */
    FETCH_PREVIEW_LAZY = 1 << 15,
};

enum section_kind { SECTION_BODY, SECTION_BINARY, SECTION_BINARY_SIZE };

enum section_spec {
    SPEC_ALL, /* the part itself: BODY[], BODY[1.2] */
    SPEC_HEADER,
    SPEC_HEADER_FIELDS,
    SPEC_HEADER_FIELDS_NOT,
    SPEC_TEXT,
    SPEC_MIME, /* only with a part */
};

struct fetch_section {
    enum section_kind kind;
    enum section_spec text;
    bool peek;        /* does not set \Seen; always true for BINARY.SIZE */
    bool has_partial; /* <offset.length> */
    unsigned n_part, n_fields;
    const uint32_t *part;      /* 1.2.3 */
    const struct span *fields; /* as spelt by the client */
    uint64_t offset, length;
};

struct cmd_fetch {
    struct seqset set;
    uint32_t atts; /* FETCH_ bits; macros are expanded; UID FETCH does not set FETCH_UID itself */
    unsigned n_sections;
    const struct fetch_section *sections; /* equal ones only once */
    bool sets_seen;                       /* some item without peek */
    bool has_since, vanished;             /* RFC 7162 sections 3.1.4.1 and 3.2.6 */
    uint64_t since;                       /* only messages with a greater mod-sequence */
    struct wire_partial partial;          /* RFC 9394 section 3.3; first 0: not given */
};

enum store_action { STORE_FLAGS_REPLACE, STORE_FLAGS_ADD, STORE_FLAGS_REMOVE };

struct cmd_store {
    struct seqset set;
    enum store_action mode;
    bool silent;
    bool conditional;         /* UNCHANGEDSINCE (RFC 7162 section 3.1.3) */
    uint64_t unchanged_since; /* UINT64_MAX without it */
    struct wire_flags flags;
};

struct cmd_conversions {  /* RFC 5259 section 5.1 */
    struct span from, to; /* "*", "type/" followed by "*", or "type/subtype" */
};

struct convert_param {
    struct span name, value;
};

enum convert_kind {
    CONVERT_STRUCTURE, /* BODYPARTSTRUCTURE */
    CONVERT_BINARY,
    CONVERT_SIZE,
    CONVERT_AVAILABLE,
    CONVERT_HEADER,
    CONVERT_MIME,
};

struct convert_item {
    enum convert_kind kind;
    struct fetch_section section;
};

struct cmd_convert { /* RFC 5259 section 6 */
    struct seqset set;
    struct span type; /* "text/plain"; empty: NIL, the default conversion */
    unsigned n_params, n_items;
    const struct convert_param *params;
    const struct convert_item *items;
    bool uid; /* is asked for */
};

struct cmd_uidbatches { /* RFC 10022 */
    uint32_t size;
    uint32_t first, last; /* of the batches; 1 and UINT32_MAX without */
};

struct cmd_copy { /* COPY, MOVE */
    struct seqset set;
    struct span name;
};

/* RFC 5465. Events as bits. */
enum notify_event {
    NOTIFY_MESSAGE_NEW = 1 << 0,
    NOTIFY_MESSAGE_EXPUNGE = 1 << 1,
    NOTIFY_FLAG_CHANGE = 1 << 2,
    NOTIFY_ANNOTATION_CHANGE = 1 << 3,
    NOTIFY_MAILBOX_NAME = 1 << 4,
    NOTIFY_SUBSCRIPTION_CHANGE = 1 << 5,
    NOTIFY_MAILBOX_METADATA = 1 << 6,
    NOTIFY_SERVER_METADATA = 1 << 7,
    NOTIFY_MESSAGE_EVENTS = 0x0f,
    NOTIFY_EVENTS = 0xff,
};
const char *notify_event_name(uint32_t bit); /* "MessageNew" */

enum notify_filter {
    NOTIFY_SELECTED,
    NOTIFY_SELECTED_DELAYED,
    NOTIFY_INBOXES,
    NOTIFY_PERSONAL,
    NOTIFY_SUBSCRIBED,
    NOTIFY_SUBTREE,
    NOTIFY_MAILBOXES,
    NOTIFY_SUBTREE_ONE, /* of ESEARCH only (RFC 7377 section 2.2) */
};

struct notify_group {
    enum notify_filter filter;
    const struct span *names; /* SUBTREE, SUBTREE-ONE, MAILBOXES */
    unsigned n_names;
    uint32_t events; /* 0: NONE */
};

struct cmd_notify {
    bool set, status;
    bool unknown_event; /* somewhere: NO [BADEVENT] */
    const struct notify_group *groups;
    unsigned n_groups;
    struct span fetch; /* "(UID FLAGS)" of MessageNew, as it was sent; empty: none */
};

struct cmd_cancel { /* CANCELUPDATE */
    const struct span *tags;
    unsigned n;
};

struct quota_limit {
    struct span resource;
    uint64_t limit;
};

struct cmd_acl { /* SETACL, DELETEACL, LISTRIGHTS: RFC 4314; GETACL, MYRIGHTS: a struct cmd_mailbox
                  */
    struct span name, identifier, rights;
    char modify; /* SETACL: '+', '-', or 0 */
};

struct cmd_quota { /* GETQUOTA, SETQUOTA: RFC 9208; GETQUOTAROOT is a struct cmd_mailbox */
    struct span root;
    const struct quota_limit *limits;
    unsigned n;
};

enum metadata_depth { METADATA_DEPTH_0, METADATA_DEPTH_1, METADATA_DEPTH_INFINITY };

struct metadata_value {
    struct span entry, value;
    bool nil;
};

struct cmd_metadata { /* GETMETADATA, SETMETADATA: RFC 5464; names empty: of the server */
    struct span name;
    bool has_max_size;
    uint64_t max_size;
    enum metadata_depth depth;
    const struct span *entries; /* GETMETADATA */
    const struct metadata_value *values;
    unsigned n; /* of either */
};

struct command {
    struct span tag;
    enum command_id id;
    bool uid; /* the UID form */
    const struct command_desc *desc;
    union {
        struct cmd_authenticate authenticate;
        struct cmd_login login;
        struct cmd_enable enable;
        struct cmd_language language;
        struct cmd_comparator comparator;
        struct cmd_id idp;
        struct cmd_mailbox mailbox;
        struct cmd_select select;
        struct cmd_create create;
        struct cmd_rename rename;
        struct cmd_status status;
        struct cmd_list list;
        struct cmd_append append;
        struct cmd_urls urls;
        struct cmd_resetkey resetkey;
        struct cmd_expunge expunge;
        struct cmd_search search;
        struct cmd_fetch fetch;
        struct cmd_store store;
        struct cmd_copy copy;
        struct cmd_notify notify;
        struct cmd_cancel cancel;
        struct cmd_uidbatches uidbatches;
        struct cmd_conversions conversions;
        struct cmd_convert convert;
        struct span compress; /* the mechanism (RFC 4978) */
        struct cmd_acl acl;
        struct cmd_quota quota;
        struct cmd_metadata metadata;
    };
};

struct parse_limits {
    unsigned max_depth; /* nesting of SEARCH keys */
    unsigned max_args;  /* elements of one list: patterns, header fields, ENABLE names */
    unsigned max_search_nodes;
    unsigned max_flags;
    unsigned max_sections; /* BODY[...] items of one FETCH */
    unsigned max_parts;    /* numbers in one part specifier */
    unsigned max_ranges;   /* of one sequence set */
    unsigned max_messages; /* of one MULTIAPPEND */
};

/* depth 50, 1,000 args, 1,000 nodes, 200 flags, 200 sections, 100 parts, 20,000 ranges, 10,000
 * messages */
extern const struct parse_limits parse_limits_default;

struct parse_error {
    struct span tag;    /* into text; empty if there is none: answer "* BAD" */
    enum command_id id; /* as far as it was recognised */
    char reason[160];   /* printable ASCII */
};

/* limits NULL for the default. On failure only *ret_error is set. */
int command_parse(struct span text, const struct parse_limits *limits, struct arena *a,
                  struct command **ret, struct parse_error *ret_error) must_check;
/* Copies text into the arena first, so that the command depends on nothing else. (The tag of an
 * error then points into the arena.) */
int command_parse_copy(struct span text, const struct parse_limits *limits, struct arena *a,
                       struct command **ret, struct parse_error *ret_error) must_check;

/* SEARCH keys alone, such as the value of a filter (RFC 5466): ret->nodes and n_nodes. */
int search_keys_parse(struct span text, const struct parse_limits *limits, struct arena *a,
                      struct cmd_search *ret, struct parse_error *ret_error) must_check;

/* One message of a MULTIAPPEND: the `part` of FRAME_LITERAL_ASK, where that is not a text_part. */
int append_part_parse(struct span part, const struct parse_limits *limits, struct arena *a,
                      struct append_part *ret, struct parse_error *ret_error) must_check;

/* What stands within BODY[...] (RFC 9051 section 9, section-spec): "1.2.MIME". Without literals. */
int section_parse(struct span text, const struct parse_limits *limits, struct arena *a,
                  struct fetch_section *ret, struct parse_error *ret_error) must_check;

#endif
