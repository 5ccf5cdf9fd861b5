#include "store/maintain.h"

static void none(struct maintenance *m)
{
    m->finished(m, ERR_INVALID, "not available yet");
}

void account_check(struct account *account, struct maintenance *m)
{
    (void)account;
    none(m);
}

void account_compact(struct account *account, bool erase, struct maintenance *m)
{
    (void)account;
    (void)erase;
    none(m);
}

void account_backup(struct account *account, const char *to_dir, struct maintenance *m)
{
    (void)account;
    (void)to_dir;
    none(m);
}

void account_restore(struct store *store, const struct account_id *id, const char *from_dir,
                     struct maintenance *m)
{
    (void)store;
    (void)id;
    (void)from_dir;
    none(m);
}
