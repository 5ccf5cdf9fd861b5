/* A history that uses all of the log, over the fault engine, with a model of what was promised.
 *
 * Every frame carries its number and a nonce in its operations and a payload made from the nonce,
 * so that any two attempts to write the same number can be told apart. */
#ifndef UNIT_LOG_WORKLOAD_H
#define UNIT_LOG_WORKLOAD_H

#include "log/log_fault.h"
#include "log/log_int.h"

enum { SEQ_MAX = 256, NONCE_MAX = 1024, EXTERNALS = 8, BASE_FRAMES = 6 };

struct attempt {
    uint64_t seq;
    uint32_t size;
    bool refused; /* log_write said that it is certainly not there */
    uint64_t segment, payload_offset;
};

struct model {
    struct attempt attempts[NONCE_MAX]; /* by nonce */
    uint32_t nonces;
    uint32_t definite[SEQ_MAX]; /* the nonce that a number was acknowledged with; 0: none */
    uint64_t acked;             /* all up to here were acknowledged */
    uint64_t written;
    uint64_t base_seq; /* of the finished base */
    bool base_tried;
    uint64_t dropped[SEQ_MAX]; /* segments */
    unsigned dropped_count;
    struct {
        uint64_t segment, offset;
        uint32_t size;
    } externals[EXTERNALS];
    unsigned external_count;
    uint64_t refusals, unknowns; /* how often */
};

struct workload {
    struct fault *fault;
    struct log_options options;
    struct log *log;
    struct log_base *base; /* under way */
    struct model model;
    bool retry; /* after a failure go on; else stop at the first ERR_UNKNOWN */
    bool dead;
};

void workload_init(struct workload *w, struct fault *f, bool retry);
void workload_run(struct workload *w);
void workload_done(struct workload *w); /* as a process that is killed */

/* Opens the log on a disk and compares it with what was promised; appends to it. */
void model_verify(const struct model *m, struct fault *disk, bool crashed);

char *payload_of(uint32_t nonce, uint32_t size);

#define WORKLOAD_DIR "account/log"

#endif
