/* The users file as a directory. A changed file is noticed at the next look; a broken one leaves
 * the old one in force. */
#include <pthread.h>

#include "auth/directory_int.h"
#include "auth/file_state.h"
#include "auth/users.h"
#include "base/logline.h"

struct directory_file {
    struct directory base;
    char *path; /* "": none */
    bool keep_case;
    pthread_mutex_t lock; /* of what follows */
    struct file_state state;
    struct users *users;
};

static struct directory_file *of(struct directory *d)
{
    return container_of(d, struct directory_file, base);
}

/* The users as they are now; one reference for the caller. */
static struct users *current(struct directory_file *f)
{
    struct err err;
    struct users *fresh;
    pthread_mutex_lock(&f->lock);
    if (*f->path && file_state_changed(&f->state, f->path)) {
        fresh = users_load(f->path, f->keep_case, &err);
        if (fresh) {
            users_unref(f->users);
            f->users = fresh;
            log_text(LOG_INFO, "users-loaded", "%zu users", users_count(fresh));
        } else {
            log_event(LOG_ERROR, "users-not-loaded", "msg", err.text, NULL);
        }
    }
    struct users *u = users_ref(f->users);
    pthread_mutex_unlock(&f->lock);
    return u;
}

static int fill(const struct users *u, struct span name, struct directory_entry *ret,
                struct err *err)
{
    struct span secrets;
    if (!users_find(u, name, &secrets, &ret->disabled))
        return err_set(err, ERR_NOT_FOUND, "file: no such user");
    buf_put_span(&ret->name, name);
    buf_put_span(&ret->secret, secrets);
    return 0;
}

static int file_find(struct directory *d, struct span name, enum directory_purpose why,
                     struct directory_entry *ret, struct err *err)
{
    struct users *u = current(of(d));
    int r = fill(u, name, ret, err);
    if (r == 0 && why == DIRECTORY_LOGIN)
        for (int i = 0; i < 2; i++)
            if (!password_scram(buf_span(&ret->secret), i == DIRECTORY_SCRAM_SHA256,
                                &ret->scram[i]))
                buf_reset(&ret->scram[i]);
    users_unref(u);
    return r;
}

static int file_check(struct directory *d, struct span name, struct span password,
                      struct directory_entry *ret, struct err *err)
{
    struct users *u = current(of(d));
    bool fits = users_check(u, name, password);
    int r = fill(u, name, ret, err);
    users_unref(u);
    return r < 0 || fits ? r : err_set(err, ERR_DENIED, "file: wrong password");
}

static bool file_all_scram(struct directory *d)
{
    struct users *u = current(of(d));
    bool all = users_all_scram(u);
    users_unref(u);
    return all;
}

static void file_free(struct directory *d)
{
    struct directory_file *f = of(d);
    users_unref(f->users);
    pthread_mutex_destroy(&f->lock);
    free(f->path);
    free(f);
}

struct directory *directory_file_new(const struct conf *c, struct err *err)
{
    static const struct directory_ops ops = {.name = "file",
                                             .passwords = true,
                                             .scram = true,
                                             .all_scram = file_all_scram,
                                             .find = file_find,
                                             .check = file_check,
                                             .free = file_free};
    struct directory_file *f = xnew(struct directory_file);
    directory_init(&f->base, &ops);
    pthread_mutex_init(&f->lock, NULL);
    f->path = span_dup(span_str(c->auth_users_file));
    f->keep_case = c->auth_username_case == CONF_CASE_KEEP;
    if (*f->path)
        (void)file_state_changed(&f->state, f->path);
    f->users = *f->path ? users_load(f->path, f->keep_case, err) : users_none();
    if (f->users)
        return &f->base;
    file_free(&f->base);
    return NULL;
}
