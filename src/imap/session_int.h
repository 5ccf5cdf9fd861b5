/* imap/session_int.h: what the files of src/imap share: session, view, task.
 *
 * Session: the connection, its framer, the selected mailbox's view, the commands in progress.
 * View:    what the client has been told of the selected mailbox (RFC 9051 section 2.3.1.2).
 * Task:    one command in progress; a resumable state machine (see `enum step`).
 *
 * Rules that every command keeps:
 *  - A step does a bounded slice of work (SLICE_ROWS rows, or until session_full) and returns.
 *  - A snapshot never outlives a step. At the beginning of a step that uses the view, call
 *    view_begin, which takes the snapshot and absorbs what has changed since, so that sequence
 *    numbers and the snapshot belong together.
 *  - An untagged response is queued whole within one step (a literal may be a file range).
 *  - A command ends through task_ok, task_no or task_bad, once, as its last act; these announce
 * what the client may now be told, then send the tagged response. */
#ifndef IMAP_SESSION_INT_H
#define IMAP_SESSION_INT_H

#include "base/arena.h"
#include "imap/session.h"
#include "io/conn.h"
#include "store/account.h"
#include "wire/command.h"
#include "wire/frame.h"

enum { SLICE_ROWS = 512 };

/* What commands read and change. */
enum resource {
    RES_FLAGS = 1 << 0,    /* of messages in the selected mailbox */
    RES_MESSAGES = 1 << 1, /* which of them exist */
    RES_ADDED = 1 << 2,    /* messages that come into a mailbox */
    RES_COUNTS = 1 << 3,   /* what STATUS tells of any mailbox */
    RES_NAMES = 1 << 4,    /* mailboxes and their attributes */
    RES_SUBSCRIPTIONS = 1 << 5,
    RES_SAVED = 1 << 6, /* the saved search result */
    RES_METADATA = 1 << 20,
};

/* Untagged answers without anything that ties them to their command. */
enum answer {
    ANSWER_SEARCH = 1 << 0,
    ANSWER_LIST = 1 << 1,
    ANSWER_LSUB = 1 << 2,
    ANSWER_ID = 1 << 3,
    ANSWER_CAPABILITY = 1 << 4,
    ANSWER_NAMESPACE = 1 << 5,
    ANSWER_STATUS = 1 << 6,
    ANSWER_SORT = 1 << 7,
    ANSWER_THREAD = 1 << 18,
    ANSWER_QUOTA = 1 << 16,
    ANSWER_METADATA = 1 << 17,
};

/* --- view --- */

struct task;

struct view {
    struct watch watch;      /* .view_modseq: no expunge after it has been announced yet */
    struct account *account; /* the session's, or another one's (place.h); a reference */
    uint32_t rights;         /* enum right, when it was selected */
    uint32_t mailbox;
    uint32_t uidvalidity;
    char *name;               /* of the mailbox when it was selected, for the administrator */
    bool read_only;           /* EXAMINE */
    bool gone;                /* the mailbox was deleted */
    bool quota_warned;        /* quota.c */
    bool dirty;               /* the store has news that have not been absorbed */
    uint64_t modseq;          /* state up to which the sets below are worked out */
    uint32_t exists, uidnext; /* as the client has been told */
    struct ranges expunged;   /* shown to the client, but live no more */
    struct ranges changed;    /* shown, with flags that the client may not know */
    struct ranges recent;     /* UIDs that are \Recent in this session (RFC 3501) */
    size_t keywords_told;     /* how many of the mailbox's keywords FLAGS has listed */
    struct {                  /* the last UIDBATCHES (uidbatches.c); size 0: none */
        uint32_t size, first, last, exists, uidnext;
    } batches;
    struct task *idle; /* the IDLE that wants to hear of news */
    struct session *session;
    uint64_t told_from;    /* NOTIFY may hide changes: none before this MODSEQ (0: none at all) */
    struct ranges own;     /* NOTIFY: messages that this session has made */
    struct ranges to_push; /* NOTIFY: new messages that are to be fetched for the client */
    struct list pushes;    /* the same for contexts, which go first */
    struct task *push;     /* what is just being fetched */
    struct list contexts;  /* RFC 5267 */
};

/* --- tasks --- */

enum step {
    STEP_AGAIN, /* the slice is used up: call me again soon */
    STEP_WAIT,  /* something will call task_wake: a store request, an account, IDLE's end */
    STEP_DONE,  /* the tagged response is queued */
};

struct task;
typedef enum step task_step(struct task *t);

/* What a command reads and changes, so that two commands can be compared (schedule.c). */
struct effects {
    uint32_t reads, writes; /* enum resource */
    uint32_t answers;       /* untagged answers that cannot be told apart from another command's */
    bool uses_seq;          /* its arguments or answers are message sequence numbers */
    bool no_expunge;        /* EXPUNGE must not be sent while it runs: FETCH, STORE, SEARCH */
    bool quiet;             /* those three and their UID forms: EXPUNGE can wait for what follows */
    bool barrier;           /* changes the state of the session: alone */
};

struct task {
    struct list link;    /* session.tasks, in the order of arrival */
    struct list awaited; /* imap_host.awaited, while the request is out */
    struct session *session;
    struct arena arena;      /* the command and all its memory */
    struct command *command; /* NULL: it could not be parsed */
    struct span text;        /* the command's text, which `command` points into */
    task_step *step;
    struct effects effects;
    enum { TASK_QUEUED, TASK_RUNNABLE, TASK_WAITING, TASK_FINISHED } state;
    void *data;                      /* the command's own state, in the arena */
    void (*cleanup)(struct task *t); /* called before the arena goes; NULL if nothing to do */
    bool orphaned;          /* the session is gone; a request is still out (task_wake frees it) */
    struct request request; /* the one store request that a task may have out ... */
    struct account *target; /* ... to this account, with a reference; NULL: the session's */
    bool awaits_place;      /* an account is being opened for it */
    bool request_out;
    bool submitted; /* the request has been sent; when the step runs again, it is done */
    bool appending; /* an APPEND whose text is not complete; not queued yet */
    bool idle_ended, idle_ended_well;
    bool had_turn;                 /* it filled the output: others go first now */
    bool ending;                   /* the work is done; `tagged` goes out after the announcements */
    uint64_t begun_us;             /* when it had arrived (monotonic) */
    uint64_t told_us;              /* when the client was last told how far it is */
    uint64_t progress, goal;       /* messages; goal 0: neither is known (RFC 9585) */
    bool silent_end;               /* no tagged response: the session ends instead */
    const char *reason;            /* what was wrong with a command that could not be parsed */
    char *tagged;                  /* "a1 OK ...", without CRLF */
    void (*after)(struct task *t); /* called when that has been queued; NULL: nothing to do */
    size_t code_at;                /* where HIGHESTMODSEQ goes into it; 0: nowhere */
    struct span tag;               /* where there is no command: one that could not be parsed */
};

/* --- session --- */

struct session {
    struct list link; /* imap_host.sessions */
    struct imap_host *host;
    struct conn *conn;
    struct account *account;
    struct frame frame;
    struct buf unread; /* input that waits until a task has ended */
    char *user, *peer, *client_name;
    char *login;                     /* NULL: the user */
    enum language language;          /* of texts for people */
    bool comparator_inverted;        /* comparator.c */
    char mechanism[20];              /* "SCRAM-SHA-256-PLUS" */
    char tls_version[8];             /* "TLSv1.3" */
    uint64_t id, since_us, input_us; /* login (wall time), last input (monotonic) */
    bool literal_minus;              /* as it was offered */
    bool tls, rev2, in_order, closing, logged_out, uid_seen;
    enum capability_utf8 utf8_offered; /* when it began */
    bool utf8;                         /* RFC 9755: the client has enabled it */
    bool uidonly;                      /* RFC 9586: enabled */
    bool condstore, qresync;           /* RFC 7162: the client has said so */
    bool modseq_sent;                  /* since the last HIGHESTMODSEQ or tagged answer */
    bool input_stopped;                /* the conn is paused: too much in progress, or ... */
    bool leaving; /* UNAUTHENTICATE has been answered: it goes when that is sent */
    unsigned login_process;
    bool local, tls_ended; /* as in imap_start */
    bool input_held;       /* ... it is not known yet what the next bytes mean (compress.c) */
    struct list tasks;
    size_t task_count;
    struct metadata *metadata; /* NULL: METADATA was not enabled */
    struct notify *notify;     /* NULL: never used */
    struct view *view;         /* NULL: authenticated state */
    struct list foreign;       /* accounts of others that it uses (place.c) */
    size_t foreign_count;
    struct shares *shares; /* shares.c; NULL: not asked yet */
    struct buf groups;     /* that the user belongs to, each followed by '\n' */
    struct ranges saved;   /* SEARCHRES: UIDs of the last saved result (RFC 9051 section 6.4.4.1) */
    struct task *reading;  /* APPEND whose literals are arriving, or IDLE that awaits DONE */
    bool input_ended;      /* the client has closed its half: finish what it sent */
    struct loop_task run;  /* the scheduler; when `dead`, the end */
    bool dead;
    struct loop_timer timer;
    unsigned errors; /* BAD commands in a row */
    unsigned command_count;
    unsigned counted_as; /* the gauge of connections that it is counted in; 0: none */
    struct trace *trace; /* NULL: nobody looks (imap/trace.h) */
    struct buf *traced;  /* between respond_begin and respond_end ... */
    size_t traced_from;  /* ... and where the response begins */
};

/* Mailbox names are UTF-8, not modified UTF-7. */
static inline bool session_utf8(const struct session *s)
{
    return s->rev2 || s->utf8;
}

/* --- session.c --- */
void session_close(struct session *s);                 /* drop the connection and free, soon */
void session_bye(struct session *s, const char *text); /* BYE, then close */
/* unauthenticate.c: gives the connection back once everything is sent ... */
void session_leave(struct session *s);
/* ... and it is somebody else's now: the session ends without a word. */
void session_moved(struct session *s);
void session_count_state(struct session *s); /* its part of the gauge of connections */
void session_schedule(struct session *s);    /* run tasks at the end of this turn */

void session_client_name(struct session *s, struct span name);
void session_put_capabilities(struct session *s, struct buf *b);
void session_task_ended(struct session *s); /* there may be room for more input */

void task_check_state(struct task *t);

/* --- cmd_append.c: the literals of an APPEND, as they arrive --- */
void append_literal_ask(struct session *s, const struct frame_event *ev);
void append_ask_again(struct session *s); /* the account that it waited for is there, or not */
void append_literal_start(struct session *s, const struct frame_event *ev);
void append_literal_data(struct session *s, struct span bytes);
void append_literal_end(struct session *s);

/* --- schedule.c --- */
struct task *task_new(struct session *s);
void task_queue(struct task *t);
void task_discard(struct task *t);
void schedule_run(struct session *s);
void task_wake(struct task *t); /* a waiting task may go on */
/* Send t->request (filled) to the writer of t->target; the task gets woken when it is done. */
void task_submit(struct task *t);
void task_set_target(struct task *t, struct account *account);

/* --- respond.c: everything that is sent goes through here --- */
static inline bool session_full(struct session *s)
{
    return conn_full(s->conn);
}
/* Append to the output between these two; one whole response, or several. */
struct buf *respond_begin(struct session *s);
void respond_end(struct session *s);
void respond_text(struct session *s, const char *fmt, ...) printf_like(2, 3); /* with CRLF */
enum step task_ok(struct task *t, const char *code,
                  const char *text); /* code: "READ-ONLY" or NULL */
enum step task_no(struct task *t, const char *code, const char *text);
enum step task_bad(struct task *t, const char *text);
enum step task_bad_code(struct task *t, const char *code, const char *text);
/* The tagged answer to a failed store request, with the response code that fits (RFC 9051 section
 * 7.1); disconnects without an answer where the outcome is unknown. target: the mailbox that was
 * looked up is the target of APPEND, COPY or MOVE (TRYCREATE). */
enum step task_store_failed(struct task *t, int error, bool target);

/* --- view.c --- */
/* Whose \Seen counts for this session in that account (NULL: its own): empty for the owner's. */
static inline struct span session_eyes(const struct session *s, const struct account *account)
{
    return !account || account == s->account ? SPAN_EMPTY : span_str(s->user);
}
/* A snapshot with the view absorbed up to it. Fails like snap_begin. */
int view_begin(struct session *s, struct snap **ret) must_check;
int view_absorb(struct view *v, struct snap *snap) must_check;
/* Between UIDs and sequence numbers as the client knows them; snap from view_begin. 0 if none. */
int view_seq_of(struct view *v, struct snap *snap, uint32_t uid, uint32_t *ret_seq) must_check;
int view_uid_at(struct view *v, struct snap *snap, uint32_t seq, uint32_t *ret_uid) must_check;
uint32_t view_last_uid(struct view *v, struct snap *snap); /* 0 in an empty mailbox */
/* A command's set as UID ranges. ERR_INVALID: a sequence number that does not exist. */
enum resolve {
    RESOLVE_NUMBERS,
    RESOLVE_UIDS,
    RESOLVE_WITHIN, /* numbers; those that do not exist are left out */
};
int view_resolve(struct view *v, struct snap *snap, const struct seqset *set, enum resolve how,
                 struct ranges *ret) must_check;

/* Walks the messages that the client is shown (expunged ones from their ghosts) within UID ranges.
 */
struct view_walk {
    struct view *view;
    const struct ranges *uids;
    size_t range;      /* in uids */
    uint32_t next_uid; /* where to go on; survives between slices */
    bool started;
};
struct view_cursor; /* one slice's position */
struct shown {
    uint32_t seq;
    bool expunged; /* row is a ghost, or has only its UID (row.message_id 0) */
    bool recent;
    uint8_t relevancy; /* of a FUZZY search (RFC 6203) */
    struct row row;
};
void view_walk_init(struct view_walk *w, struct view *v, const struct ranges *uids);
int view_cursor_open(struct view_walk *w, struct snap *snap, struct view_cursor **ret) must_check;
int view_cursor_next(struct view_cursor *c, struct shown *ret) must_check; /* ERR_NOT_FOUND: end */
void view_cursor_close(struct view_cursor *c);

/* --- progress.c: RFC 9585 --- */
void progress_init(struct imap_host *host);
void progress_after_slice(struct task *t);
void progress_await(struct task *t);   /* its request is out ... */
void progress_awaited(struct task *t); /* ... and no more, or nobody wants to hear of it */

/* --- announce.c --- */
enum announce {
    ANNOUNCE_NO_EXPUNGE,  /* they must not be sent now */
    ANNOUNCE_EXPUNGE,     /* they may be */
    ANNOUNCE_OWN_EXPUNGE, /* they are the answer to EXPUNGE or MOVE, whatever NOTIFY hides */
    ANNOUNCE_ALL,         /* all, whatever NOTIFY hides */
};
/* Tell the client what has changed: EXISTS, RECENT, FLAGS, FETCH, and EXPUNGE if allowed now.
 * False: the output is full; call again when there is room. */
bool announce(struct session *s, enum announce what);
/* RFC 3501 section 7.3.2: how many of the messages that the client is shown are recent here. */
int recent_count(struct session *s, struct snap *snap, uint32_t *ret) must_check;
/* FLAGS and PERMANENTFLAGS of the selected mailbox, where the client does not know all of them. */
void announce_keywords(struct session *s, struct snap *snap, const struct mailbox_info *info);

/* --- notify.c: RFC 5465 --- */
/* Which NOTIFY_MESSAGE_EVENTS of the selected mailbox the client may hear of. */
uint32_t notify_selected(const struct session *s);
bool notify_is_immediate(const struct session *s); /* at any time, not only at a command's end */
bool notify_is_delayed(const struct session *s);   /* ... but EXPUNGE only then */
/* Whether new messages of the selected mailbox are to be fetched for the client. */
bool notify_fetches(const struct session *s);
/* STATUS, LIST and FETCH that are due. False: not everything has been said; the output is full. */
bool notify_run(struct session *s);
/* Fetch these messages for the client, with the items of NOTIFY if that wants them, too. */
void notify_push(struct session *s, const struct ranges *uids, const char *items);
bool notify_is_pushing(const struct view *v);
void notify_free(struct session *s);
void notify_view_closed(struct view *v);
/* The session's own change took effect. */
void notify_note_own(struct session *s, const struct account *account, const struct request *r);

/* --- context.c: RFC 5267 --- */
/* The store has changes of shown messages with UIDs below `below`. */
void contexts_changed(struct view *v, const struct ranges *changed, uint32_t below);
/* EXISTS has told of these. */
void contexts_arrived(struct view *v, uint32_t lo, uint32_t hi);
/* Takes the view's expunged messages off them, before EXPUNGE is said. */
int contexts_expunged(struct session *s, struct snap *snap) must_check;
bool contexts_run(struct session *s); /* false: call again */
bool contexts_busy(const struct view *v);
void contexts_free(struct view *v);

/* --- condstore.c: RFC 7162 --- */
/* A CONDSTORE enabling command (section 3.1). */
void condstore_enable(struct session *s);
/* The HIGHESTMODSEQ of the selected mailbox, as far as the client has been told everything. */
void condstore_put_highest(struct session *s);
/* At the end of a command, before and with its tagged answer. */
void condstore_before_tagged(struct session *s);
void condstore_put_tagged(struct task *t, struct buf *b);
/* OK, with HIGHESTMODSEQ after ENABLE QRESYNC (sections 3.2.7 and 3.2.9). */
enum step task_ok_modseq(struct task *t, const char *text);
/* All of the view's expunges, as VANISHED. */
void condstore_announce_vanished(struct session *s);
/* FETCH (CHANGEDSINCE ... VANISHED): answers VANISHED and leaves of *uids what has changed. */
int condstore_fetch(struct task *t, struct snap *snap, struct ranges *uids) must_check;
/* SELECT (QRESYNC ...), after everything that SELECT says: VANISHED; then, in slices, FETCH
 * (ERR_NOT_FOUND: all has been said). */
int qresync_begin(struct task *t, struct snap *snap) must_check;
int qresync_rows(struct task *t, struct snap *snap) must_check;
/* "MODIFIED 7,9" */
int condstore_put_modified(struct task *t, struct snap *snap, struct buf *b) must_check;

/* --- partial.c: RFC 9394 --- */
/* Leaves of uids the messages at those places. */
int partial_fetch(struct session *s, struct snap *snap, const struct wire_partial *p,
                  struct ranges *uids) must_check;

/* --- comparator.c: RFC 5255 section 4 --- */
/* The criteria of a SORT as the active comparator has them; in the task's arena. NULL: spent. */
const struct sort_criterion *comparator_criteria(struct task *t);

/* --- uidonly.c: RFC 9586 --- */
/* A command with message numbers, after ENABLE UIDONLY; and what it gets then. */
bool uidonly_refuses(const struct command *c);
enum step uidonly_refused(struct task *t);
/* "* 5 FETCH (" or "* 7 UIDFETCH (" */
enum { MESSAGE_START_MAX = 24 };
char *format_message_start(char *to, struct session *s, const struct shown *m);
void put_message_start(struct session *s, struct buf *b, const struct shown *m);

/* --- objectid.c: RFC 8474 --- */
void put_mailbox_id(struct buf *b, const struct mailbox_info *info); /* "MAILBOXID (F...)" */
void put_email_id(struct buf *b, uint64_t message_id);               /* "EMAILID (M...)" */
bool email_id_parse(struct span text, uint64_t *ret);

/* --- flags.c --- */
void put_flags(struct buf *b, struct snap *snap, const struct row *row,
               bool recent); /* "(\Seen x)" */
/* "* 5 FETCH (UID 7 FLAGS (...))" with or without UID; for a CONDSTORE-aware client always with UID
 * and MODSEQ (RFC 7162 section 3.2.4). */
void put_fetch_flags(struct session *s, struct buf *b, struct snap *snap, const struct shown *m,
                     bool with_uid);
/* "* 5 FETCH (UID 7 MODSEQ (9))": the answer to a silent STORE (RFC 7162 section 3.1.3). */
void put_fetch_modseq(struct session *s, struct buf *b, const struct shown *m);
/* System flags and \Recent without parentheses, at `to`; returns the end; at most 56 bytes. */
char *format_flags(char *to, uint16_t flags, bool recent);
uint16_t store_flags(uint32_t wire_flags); /* WIRE_FLAG_ bits as the store has them */

#endif
