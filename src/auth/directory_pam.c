/* PAM as a directory: a password is checked by the service's auth and account modules.
 *
 * Calls may take long (there is no way to bound them) and some modules keep global state, so that
 * only auth.pam.parallel of them run at a time; others wait. PAM cannot say which users there are:
 * a user exists if the name service has it, or if the password was right. */
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <security/pam_appl.h>

#include "auth/directory_int.h"
#include "auth/users.h"
#include "base/clock.h"

enum { TURN_WAIT_US = 20 * 1000000 };

struct directory_pam {
    struct directory base;
    char *service;
    pthread_mutex_t lock; /* of turns */
    pthread_cond_t freed;
    uint64_t turns;
};

static struct directory_pam *of(struct directory *d)
{
    return container_of(d, struct directory_pam, base);
}

static void forget(struct pam_response *r, int n)
{
    for (int i = 0; i < n; i++) {
        if (r[i].resp)
            explicit_bzero(r[i].resp, strlen(r[i].resp));
        free(r[i].resp);
    }
    free(r);
}

/* Whatever is asked without echo gets the password. */
static int converse(int n, const struct pam_message **messages, struct pam_response **ret,
                    void *password)
{
    if (n <= 0 || n > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    struct pam_response *r = xcalloc((size_t)n, sizeof(*r));
    for (int i = 0; i < n; i++) {
        int style = messages[i]->msg_style;
        if (style == PAM_PROMPT_ECHO_OFF && password) {
            r[i].resp = span_dup(span_str(password));
        } else if (style != PAM_ERROR_MSG && style != PAM_TEXT_INFO) {
            forget(r, n);
            return PAM_CONV_ERR;
        }
    }
    *ret = r;
    return PAM_SUCCESS;
}

/* Martlet delays failed logins by itself, without keeping a thread. */
static void no_delay(int status, unsigned delay_us, void *arg)
{
    (void)status;
    (void)delay_us;
    (void)arg;
}

static bool system_has(const char *name, int *ret_errno)
{
    struct passwd pw, *found = NULL;
    size_t n = 1024;
    for (;; n *= 2) {
        autofree char *text = xmalloc(n);
        int r = getpwnam_r(name, &pw, text, n, &found);
        if (r != ERANGE || n > (1 << 20)) {
            *ret_errno = found || r == ENOENT || r == ESRCH ? 0 : r;
            return found != NULL;
        }
    }
}

static bool cannot_say(int r)
{
    return r == PAM_OPEN_ERR || r == PAM_SYMBOL_ERR || r == PAM_SERVICE_ERR ||
           r == PAM_SYSTEM_ERR || r == PAM_BUF_ERR || r == PAM_ABORT || r == PAM_CONV_ERR ||
           r == PAM_AUTHINFO_UNAVAIL || r == PAM_CRED_UNAVAIL || r == PAM_MODULE_UNKNOWN ||
           r == PAM_NO_MODULE_DATA || r == PAM_BAD_ITEM;
}

static int take_turn(struct directory_pam *p, struct err *err)
{
    uint64_t until = clock_monotonic_us() + TURN_WAIT_US;
    struct timespec ts = {(time_t)(until / 1000000), (long)(until % 1000000) * 1000};
    int r = 0;
    pthread_mutex_lock(&p->lock);
    while (!p->turns && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&p->freed, &p->lock, &ts);
    bool got = p->turns > 0;
    p->turns -= got;
    pthread_mutex_unlock(&p->lock);
    return got ? 0 : err_set(err, ERR_BUSY, "pam: too many others wait");
}

static void give_turn(struct directory_pam *p)
{
    pthread_mutex_lock(&p->lock);
    p->turns++;
    pthread_cond_signal(&p->freed);
    pthread_mutex_unlock(&p->lock);
}

/* Modules may change the name (pam_krb5 and the like). */
static int keep_name(pam_handle_t *h, struct directory_entry *ret)
{
    const void *item = NULL;
    if (pam_get_item(h, PAM_USER, &item) != PAM_SUCCESS || !item ||
        !user_name_valid(span_str(item)))
        return PAM_SYSTEM_ERR;
    buf_put_str(&ret->name, item);
    return PAM_SUCCESS;
}

/* password NULL: the account modules alone. The result of PAM. */
static int ask(struct directory_pam *p, const char *name, char *password,
               struct directory_entry *ret, struct err *err)
{
    struct pam_conv conv = {converse, password};
    void (*delay)(int status, unsigned delay_us, void *arg) = no_delay;
    const void *item;
    pam_handle_t *h = NULL;
    memcpy(&item, &delay, sizeof(item));
    int r = pam_start(p->service, name, &conv, &h);
    if (r == PAM_SUCCESS)
        r = pam_set_item(h, PAM_FAIL_DELAY, item);
    if (r == PAM_SUCCESS && password)
        r = pam_authenticate(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    if (r == PAM_SUCCESS)
        r = pam_acct_mgmt(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    if (r == PAM_SUCCESS)
        r = keep_name(h, ret);
    if (r != PAM_SUCCESS)
        err_set(err, ERR_DENIED, "pam: %s", h ? pam_strerror(h, r) : "pam_start failed");
    if (h)
        pam_end(h, r);
    return r;
}

static int pam_check(struct directory *d, struct span name, struct span password,
                     struct directory_entry *ret, struct err *err)
{
    struct directory_pam *p = of(d);
    int system_errno;
    if (password.n > PAM_MAX_RESP_SIZE - 1 || (password.n && memchr(password.p, '\0', password.n)))
        return err_set(err, ERR_DENIED, "pam: an impossible password");
    int r = take_turn(p, err);
    if (r < 0)
        return r;
    autofree char *user = span_dup(name), *secret = span_dup(password);
    r = ask(p, user, secret, ret, err);
    explicit_bzero(secret, password.n);
    bool known = r == PAM_SUCCESS || system_has(user, &system_errno);
    give_turn(p);
    if (r == PAM_SUCCESS)
        return 0;
    if (err)
        err->code = cannot_say(r) ? ERR_BUSY : known ? ERR_DENIED : ERR_NOT_FOUND;
    return cannot_say(r) ? ERR_BUSY : known ? ERR_DENIED : ERR_NOT_FOUND;
}

/* May the user log in, by the account modules? */
static int ask_account(struct directory_pam *p, const char *user, bool *ret_disabled,
                       struct err *err)
{
    struct directory_entry ignored;
    int r = take_turn(p, err);
    if (r < 0)
        return r;
    directory_entry_init(&ignored);
    int status = ask(p, user, NULL, &ignored, err);
    directory_entry_done(&ignored);
    give_turn(p);
    *ret_disabled = status != PAM_SUCCESS;
    return cannot_say(status) ? ERR_BUSY : 0;
}

static int pam_find(struct directory *d, struct span name, enum directory_purpose why,
                    struct directory_entry *ret, struct err *err)
{
    int e = 0, r = 0;
    autofree char *user = span_dup(name);
    if (!system_has(user, &e))
        return e ? err_set(err, ERR_BUSY, "pam: getpwnam: error %d", e)
                 : err_set(err, ERR_NOT_FOUND, "pam: the system has no such user");
    if (why == DIRECTORY_LOGIN)
        r = ask_account(of(d), user, &ret->disabled, err);
    if (r == 0)
        buf_put_span(&ret->name, name);
    return r;
}

static void pam_free(struct directory *d)
{
    struct directory_pam *p = of(d);
    pthread_cond_destroy(&p->freed);
    pthread_mutex_destroy(&p->lock);
    free(p->service);
    free(p);
}

struct directory *directory_pam_new(const struct conf *c, struct err *err)
{
    static const struct directory_ops ops = {
        .name = "pam", .passwords = true, .find = pam_find, .check = pam_check, .free = pam_free};
    if (strchr(c->auth_pam_service, '/')) {
        err_set(err, ERR_INVALID, "auth.pam.service: a name, not a path");
        return NULL;
    }
    struct directory_pam *p = xnew(struct directory_pam);
    directory_init(&p->base, &ops);
    p->service = span_dup(span_str(c->auth_pam_service));
    p->turns = c->auth_pam_parallel;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->freed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&p->lock, NULL);
    return &p->base;
}
