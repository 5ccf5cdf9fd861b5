/* daemon/mail/mail.h: the mail process: its state, and what its files share.
 *
 * One loop thread serves the accounts whose names route_user sends here: their sessions, deliveries
 * and maintenance. Process 0 also owns the site log, which knows what account a name has. */
#ifndef DAEMON_MAIL_MAIL_H
#define DAEMON_MAIL_MAIL_H

#include "base/list.h"
#include "base/map.h"
#include "daemon/mail/vouchers.h"
#include "daemon/skeleton.h"
#include "imap/session.h"
#include "io/listen.h"
#include "lmtp/session.h"
#include "store/account.h"
#include "store/remote.h"

enum { MAIL_PEERS_MAX = 64 };

struct mail;

struct mail_peer {
    struct list link; /* login processes: mail.logins */
    struct mail *mail;
    enum role role;
    unsigned index;
    struct channel *ch; /* NULL: not there at the moment */
    /* Mail processes: its accounts that are used here, ours that it uses. */
    struct remote_owner *owner;
    struct lender *lender;
    struct list waiting; /* remote.c: packets ... */
    struct loop_timer again;
};

struct mail_port {
    struct list link;
    struct mail *mail;
    enum listener_kind kind;
    struct listener *listener;
    uint32_t id;
    int fd; /* until the listener is made */
};

struct mail {
    struct daemon *daemon;
    struct store *store;    /* NULL before start */
    struct loop_timer tick; /* store_tick */
    bool slept;             /* accounts were closed at the last one: their memory can go */
    struct imap_host imap;
    struct lmtp_host lmtp;
    struct default_mailbox *defaults;
    struct list ports, controls;
    struct mail_peer mail[MAIL_PEERS_MAX], auth;
    struct list logins; /* struct mail_peer; any number: retired ones too */
    struct vouchers vouchers;
    struct map questions; /* to other processes: id -> struct question */
    uint64_t next_question;
    struct map quarantined;  /* account id -> struct quarantined (quarantine.c) */
    struct list settlements; /* transfers.c */
    size_t openings;         /* connections on their way to a session */
    bool stopping, imap_ended, lmtp_ended;
};

/* questions.c: asking other processes, with answers that may fail with ERR_BUSY (that process is
 * not there, for some seconds, where asking again does no harm). done is called once, never from
 * within the call. */
typedef void mail_resolve_done(void *arg, int error, const struct account_id *id);
void mail_resolve(struct mail *m, struct span user, bool create, mail_resolve_done *done,
                  void *arg);
typedef void mail_lookup_done(void *arg, int error, struct span user, struct span detail);
void mail_lookup(struct mail *m, struct span address, mail_lookup_done *done, void *arg);
typedef void mail_deliver_done(void *arg, int error);
/* The groups of a user, and who may share something with him: names, each followed by '\n'. */
typedef void mail_shares_done(void *arg, int error, struct span groups, struct span owners);
void mail_shares(void *mail, struct span user, mail_shares_done *done, void *arg);
/* Somebody is about to give rights to an identifier: done when everybody can find that out. */
typedef void mail_grant_done(void *arg, int error);
void mail_grant(void *mail, struct span owner, struct span identifier, mail_grant_done *done,
                void *arg);
/* fd: the message from its beginning; taken. */
void mail_deliver_remote(struct mail *m, unsigned index, const struct lmtp_delivery *d, int fd,
                         mail_deliver_done *done, void *arg);
/* RESOLVED, USER_FOUND, DELIVERED, SHARED, GRANTED */
void mail_answer(struct mail *m, const struct message *msg);
void mail_question_lost(struct mail *m, const struct mail_peer *peer);
/* It is there again. */
void mail_question_again(struct mail *m, const struct mail_peer *peer);
/* The owner's side. */
void mail_on_resolve(struct mail_peer *from, const struct message *msg);
void mail_on_shares(struct mail_peer *from, const struct message *msg);
void mail_on_grant(struct mail_peer *from, const struct message *msg);

/* remote.c: accounts of other mail processes */
void mail_on_remote(struct mail_peer *from, const struct message *msg, int fd);
void mail_remote_connected(struct mail_peer *peer);
void mail_remote_lost(struct mail_peer *peer);
void mail_remote_start(struct mail *m); /* there is a store now */
void mail_remote_end(struct mail *m);   /* before store_free */
void mail_remote_free(struct mail *m);  /* after it */
/* The account of a user, wherever it is; never from within the call. ERR_NOT_FOUND: there is none.
 * ERR_BUSY: its process is away, or it is in quarantine. With a counted reference. */
typedef void mail_account_done(void *arg, int error, struct account *account);
void mail_account_of(void *ctx, struct span user, mail_account_done *done, void *arg);

/* transfers.c: settles moves to other accounts, `only` one or all of a source, in the background.
 */
void mail_settle(void *ctx, struct account *account, const unsigned char *only);
void mail_unsettled(void *ctx, struct account *account); /* store_host */
void mail_settle_end(struct mail *m);                    /* we are stopping */

/* handover.c */
/* from: the login process. */
void mail_on_handover(struct mail_peer *from, const struct message *msg, int fd);
/* To the login process that it came from; takes fd. imap_host's. */
int mail_give_back(void *mail, const struct imap_return *r, int fd);

/* deliver.c: what lmtp_host asks for. */
void mail_lmtp_lookup(void *ctx, struct span address, lmtp_lookup_done *done, void *arg);
void mail_deliver(void *ctx, const struct lmtp_delivery *d, lmtp_deliver_done *done, void *arg);
void mail_on_deliver(struct mail_peer *from, const struct message *msg, int fd);

/* control.c */
void mail_control_accept(struct mail *m, int fd);
void mail_control_shutdown(struct mail *m);

/* quarantine.c */
void mail_supervisor_message(struct daemon *d, const struct message *msg, int fd);
/* Seconds for which nobody is to use this account; 0: it may be used. */
uint64_t mail_quarantined(const struct mail *m, const struct account_id *id);
void mail_quarantine_each(const struct mail *m,
                          void (*each)(void *arg, const struct account_id *id, uint32_t crashes,
                                       uint64_t seconds),
                          void *arg);
void mail_quarantine_release(struct mail *m, const struct account_id *id);

/* main.c */
void mail_check_ended(struct mail *m);

#endif
