/* conf/rules.h: what settings must not be together.
 *
 * One list of rules for `martlet --check`, the start, SIGHUP and `martletctl config check`. A rule
 * that is broken is a sentence that names the place (file and line, or "default") of the setting to
 * change, says what is wrong and what is allowed. Mistakes keep the server from starting; warnings
 * do not. Looks at the file system only for files that settings name. Any thread. */
#ifndef CONF_RULES_H
#define CONF_RULES_H

#include "conf/conf.h"

struct conf_problem {
    bool warning;
    const char *setting;       /* the one to change */
    struct conf_origin origin; /* of its value */
    const char *text;          /* "FILE:LINE: SETTING: ..." */
};

/* Calls each for every problem; returns how many are mistakes. */
size_t conf_check_all(const struct conf *c, void (*each)(void *arg, const struct conf_problem *p),
                      void *arg);
/* The first mistake: ERR_INVALID with its text. */
int conf_check(const struct conf *c, struct err *err) must_check;

#endif
