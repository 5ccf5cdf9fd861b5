/* daemon/login/login.h: the login process: its state, and what its files share.
 *
 * A connection has a struct session until it has logged in. Then it goes to the mail process of its
 * account; what stays here of a TLS connection is the pump. One loop thread. */
#ifndef DAEMON_LOGIN_LOGIN_H
#define DAEMON_LOGIN_LOGIN_H

#include "base/list.h"
#include "base/map.h"
#include "daemon/skeleton.h"
#include "io/conn.h"
#include "io/listen.h"
#include "io/tls.h"
#include "wire/frame.h"
#include "wire/language.h"

enum { PEERS_MAX = 64, INPUT_MAX = 8 * 1024 };

struct port {
    struct list link;
    struct login *login;
    struct listener *listener;
    uint32_t id;
    int fd; /* until the listener is made */
    bool tls, proxied;
};

/* A connection that was accepted. */
struct client {
    int fd;
    struct address peer, local; /* as a proxy says, behind one */
    bool tls;                   /* it begins with a handshake */
    bool tls_ended;             /* it is TLS as far as a trusted proxy */
    bool remote; /* through a proxy, from another host, whatever the addresses look like */
};

struct peer {
    struct login *login;
    struct channel *ch; /* NULL: not there at the moment */
};

/* As auth has sent them. */
struct certificate_set {
    uint32_t generation;
    size_t count, expected;
    struct buf *chains, client_ca;
    struct tls_settings settings;
};

struct login {
    struct daemon *daemon;
    struct list ports;
    struct tls_backend *backend;
    struct tls_context *tls; /* NULL: no certificate */
    struct certificate_set certificates, coming;
    struct buf mechanisms;   /* MESSAGE_AUTH_MECHANISMS */
    bool mechanisms_known;   /* it has come */
    bool certificates_known; /* auth has told us, if only that there are none */
    bool settled;            /* START has come */
    struct peer auth, mail[PEERS_MAX];
    struct list sessions;   /* oldest first */
    struct loop_timer trim; /* set when memory was freed */
    size_t session_count, tls_session_count;
    struct list proxied; /* their proxy's header has not come yet; oldest first */
    size_t proxied_count;
    size_t pump_count;      /* TLS connections, before and after login */
    struct map left;        /* those after login: session id -> struct left_pump */
    uint64_t taken, served; /* connections and logins in all its life (generation.c) */
    uint64_t elsewhere;     /* connections of retired processes of this slot */
    bool full, retired, told;
    uint32_t told_connections, told_handshakes;
    struct loop_timer tell;
    uint64_t next_session, next_auth;
    struct map by_auth; /* dialogues with auth that are under way: id -> session */
    struct frame_limits limits;
    bool started, stopping, paused;
};

enum session_state {
    STATE_COMMAND,
    STATE_SASL,  /* the client owes a response */
    STATE_CHECK, /* auth has the word; input waits */
    STATE_OVER,  /* output drains, then the end */
};

struct session {
    struct list link;
    struct login *login;
    struct conn *conn;
    struct tls_pump *pump; /* NULL: plain text, or TLS has ended */
    struct frame frame;
    struct loop_timer timeout;
    enum session_state state;
    uint64_t id, auth_id; /* auth_id: 0 if no dialogue is under way */
    /* Auth has said yes, but the client still hears the mechanism's last word: the user, and who
     * proved it. */
    struct buf granted, granted_to;
    uint64_t voucher;
    struct loop_task hand_over;
    struct buf tag;  /* of the LOGIN or AUTHENTICATE under way */
    struct buf rest; /* input that arrived while auth had the word */
    char *peer, *client_name;
    char mechanism[32]; /* of the attempt under way */
    bool tls, local;
    bool tls_ended;    /* the client speaks TLS with a trusted proxy */
    bool authenticate; /* the command under way is AUTHENTICATE, not LOGIN */
    bool drop_input;   /* STARTTLS: what came with it in plain text is not read */
    enum language language;
    unsigned bad;
    unsigned counted_as; /* the gauge of connections that it is counted in; 0: none */
    uint64_t since_us;   /* monotonic */
    bool handed_over;    /* it lives on in a mail process */
    char reason[64];     /* why it ends, for the log */
};

/* session.c */
/* Takes client->fd. */
void session_new(struct login *login, const struct client *client);
/* A mail process gives one back, with its descriptor (RFC 8437). */
void session_return(struct login *login, const struct message *m, int fd);
void session_free(struct session *s);
/* "* BYE text", then the end. */
void session_bye(struct session *s, const char *text);
/* The same without waiting for the client to read it. */
void session_drop(struct session *s, const char *text);
bool session_plaintext_allowed(const struct session *s);
/* Puts tls_fd behind a new TLS pump and the session on its plain side; pair is a new socket pair.
 */
void session_start_tls(struct session *s, int tls_fd, const int pair[2]);
/* Auth has spoken and the session still lives: the input that was held goes on. */
void session_go_on(struct session *s);

/* command.c; none of these frees the session */
void session_command(struct session *s, struct span text);
void session_sasl_line(struct session *s, struct span line);
/* The tagged or untagged status line; code may be NULL. */
void session_status(struct session *s, struct span tag, const char *status, const char *code,
                    const char *text);
void session_bad(struct session *s, struct span tag, const char *reason);
void session_capabilities(const struct session *s, struct buf *out);
/* The SASL mechanisms that this connection is offered, separated by spaces. */
void session_mechanisms(const struct session *s, struct buf *out);

/* authenticate.c: the dialogue with auth, and the handover to the mail process. */
void session_auth_init(struct session *s);
void session_authenticate(struct session *s, struct span mechanism, bool has_initial,
                          struct span initial);
/* May free the session: it has moved to its mail process. */
void session_auth_message(struct session *s, const struct message *m);
void session_auth_lost(struct session *s);
void session_auth_cancel(struct session *s);

/* referral.c: "REFERRAL imap://fred;AUTH=*@host/" for a user whose mail is elsewhere; else false.
 */
bool referral_find(const struct conf_list *referrals, struct span user, struct buf *ret_code);

/* certificates.c */
void certificates_init(struct login *login);
void certificates_message(struct login *login, const struct message *m);

/* proxied.c: takes fd; a session when the proxy has said who the client is. */
void proxied_new(struct login *login, int fd, const struct address *proxy, bool tls);
void proxied_free_all(struct login *login);

/* main.c: with START, and all that is needed to serve: listens. */
void login_start_when_ready(struct login *login);

/* A connection came to its end, or moved on. */
void login_check_limits(struct login *login);

/* generation.c */
void generation_init(struct login *login);
/* Has it served its group? Then it accepts no more. */
bool generation_spent(const struct login *login);
/* After every connection and every login: asks for a successor when it is time. */
void generation_check(struct login *login);
void generation_message(struct login *login, const struct message *m);
uint64_t login_connections(const struct login *login);
void login_port_free(struct port *p);

#endif
