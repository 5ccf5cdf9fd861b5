/* log/log.h: the account log: append-only, checksummed segments; the only truth of an account.
 *
 * A frame is one atomic change: operations (opaque bytes here) and payload (message bytes). The
 * format is docs/log-format.md.
 *
 * Life of a change: log_stage gives it its sequence number and positions (so that the caller can
 * apply it to an uncommitted index transaction); log_write writes all that is staged with one
 * system call; log_sync_begin / _run / _end make it durable, `run` in a worker thread. Until
 * log_write succeeded, log_unstage takes everything staged back.
 *
 * Ownership: the log owns its descriptors and a lock on its directory. Spans passed to log_stage as
 * payload are borrowed until log_write or log_unstage; operations are copied.
 * Threads: one thread at a time (the account's loop, or a worker while it opens), except the _run
 * functions. Failure: 0 or ERR_. ERR_NO_SPACE and ERR_IO of log_write: nothing was written.
 * ERR_UNKNOWN: the log is closed for writing forever, every later write fails with ERR_CLOSED;
 * close it and open it anew. Limits: operations up to LOG_OPS_MAX, payload of one frame up to
 * LOG_PAYLOAD_MAX (larger ones go into external segments). */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "base/buf.h"
#include "base/err.h"
#include "log/log_fs.h"

enum {
    LOG_VERSION = 1,
    LOG_OPS_MAX = 64 << 20,
    LOG_PAYLOAD_MAX = 64 << 20,
    LOG_EXTERNAL_MIN = 1 << 20, /* payloads from here on belong into a segment of their own */
    LOG_ID_LEN = 16,
};

struct log;

/* A frame's header as read or staged. */
struct log_frame {
    uint64_t seq;  /* 1, 2, 3 ... without gaps */
    uint64_t time; /* microseconds since 1970; for people and retention, never for ordering */
    uint16_t type; /* the store's; LOG_FRAME_OPTIONAL types may be skipped by those who do not know
                      them */
    uint16_t version;
    uint32_t ops_crc;
    uint64_t segment, offset; /* of the frame */
    uint64_t payload_offset;  /* in the same segment */
    uint64_t payload_length, ops_length;
    bool base;        /* part of a base: a dump of the state as of seq (see log_base_begin) */
    uint64_t durable; /* the highest sequence number known durable when it was written */
};

enum { LOG_FRAME_OPTIONAL = 0x8000 };

struct log_options {
    struct log_fs *fs;     /* NULL: log_fs_file */
    uint64_t segment_size; /* a new segment is begun beyond it; 0: 64 MiB */
    uint64_t known_seq;    /* the last sequence number known outside; a log that ends before it was
                              restored from a copy and starts a new incarnation. 0: nothing known */
};

struct log_report {
    uint64_t last_seq;
    uint64_t torn_bytes;     /* moved aside at the end: an append that never was acknowledged */
    uint64_t damaged_frames; /* and segments; found while opening; they stay, see log_check */
    uint32_t incarnation;
    bool new_incarnation; /* this opening began it, or found it begun; who must act on it does
                             better to compare log_incarnation with what it last acted on */
};

/* Makes the directory and an empty log; ERR_EXISTS if there is one. Durable when it returns. */
int log_create(const struct log_options *o, const char *dir, const unsigned char id[LOG_ID_LEN],
               struct err *err) must_check;
/* Takes the lock (ERR_BUSY), finds the end, moves a torn tail aside, and syncs all of it before
 * anything is shown. Blocking. ERR_NOT_FOUND, ERR_CORRUPT (manifest), ERR_VERSION, ERR_IO. */
int log_open(const struct log_options *o, const char *dir, struct log **ret,
             struct log_report *report, struct err *err) must_check;
void log_close(struct log *log); /* staged frames are dropped; NULL is allowed */

const unsigned char *log_id(const struct log *log);
uint64_t log_last_seq(const struct log *log); /* staged ones included */
uint64_t log_durable_seq(const struct log *log);
uint32_t log_incarnation(const struct log *log);
/* The first segment of the base that replay begins with; 0: the log has none. */
uint64_t log_base_segment(struct log *log);
bool log_is_closed(const struct log *log); /* by a failed sync */

/* Calls each() for every intact frame with seq > from, in order, reading headers and operations
 * only. A frame of an unknown type is the callback's business. Damaged frames are skipped and
 * reported to `damage` (may be NULL). Stops at a non-zero result of each() and returns it.
 * Blocking; the log must be open. */
int log_replay(struct log *log, uint64_t from,
               int (*each)(void *ctx, const struct log_frame *frame, struct span ops),
               void (*damage)(void *ctx, uint64_t segment, uint64_t offset, uint64_t seq),
               void *ctx, struct err *err) must_check;
/* The first frame that replay can give (after compaction, that of the base): 1 for a log that never
 * was compacted. Replaying `from` anything lower needs an empty index. */
uint64_t log_first_seq(const struct log *log);

/* --- writing --- */

int log_stage(struct log *log, uint16_t type, uint16_t version, struct span ops,
              const struct span *payload, size_t payload_count, struct log_frame *ret) must_check;
bool log_has_staged(const struct log *log);
void log_unstage(struct log *log);
int log_write(struct log *log, struct err *err) must_check;

struct log_sync {
    struct log *log;
    uint64_t seq; /* all up to here becomes durable */
    struct log_file *files[4];
    int file_count;
    bool dir;
    int result; /* negative errno */
};
/* Whether anything written waits for a sync. */
bool log_needs_sync(const struct log *log);
/* One at a time; frames may be written meanwhile, the log must not be closed. */
void log_sync_begin(struct log *log, struct log_sync *ret);
void log_sync_run(struct log_sync *s); /* any thread; blocking */
int log_sync_end(struct log *log, struct log_sync *s, struct err *err) must_check; /* ERR_UNKNOWN */

/* --- large payloads: a segment of their own --- */

struct log_external;
int log_external_begin(struct log *log, struct log_external **ret, struct err *err) must_check;
int log_external_write(struct log_external *x, struct span bytes, struct err *err) must_check;
int log_external_sync_run(struct log_external *x); /* any thread; 0 or ERR_IO */
/* After a successful sync: the payload's position, to be linked by a frame. The object is freed.
 * One whose link never came (a crash) stays as LOG_SEGMENT_EXTERNAL until the store drops it. */
void log_external_finish(struct log_external *x, uint64_t *ret_segment, uint64_t *ret_offset);
/* Where the payload will be; positions are final from the beginning. */
void log_external_where(const struct log_external *x, uint64_t *ret_segment, uint64_t *ret_offset);
void log_external_abort(struct log_external *x); /* removes the file; NULL is allowed */

/* --- reading payloads --- */

int log_read(struct log *log, uint64_t segment, uint64_t offset, size_t n, struct buf *to,
             struct err *err) must_check; /* appends exactly n bytes */
/* A descriptor of a segment, held until release; ERR_INVALID if the engine has none. */
struct log_fd;
int log_segment_fd(struct log *log, uint64_t segment, struct log_fd **ret, int *ret_fd,
                   struct err *err) must_check;
void log_fd_release(struct log_fd *fd); /* also after log_close */
/* Closes the descriptors that are not needed; they come back by themselves. */
void log_idle(struct log *log);

/* What an append operation records of message bytes (docs/log-format.md, payload header). */
struct payload_header {
    uint64_t offset; /* in the frame's payload, or in the external segment */
    uint64_t length;
    uint32_t crc;    /* CRC32C of the bytes */
    uint8_t codec;   /* 0: as they are */
    uint32_t key_id; /* 0: not encrypted */
    bool has_hash;
    unsigned char hash[32]; /* SHA-256 of the content, if has_hash */
};
void payload_header_put(struct buf *b, const struct payload_header *h);
struct reader;
bool payload_header_read(struct reader *r, struct payload_header *ret);
/* Reads the bytes (offset: in the segment) and compares their checksum: ERR_CORRUPT, ERR_IO. */
int log_payload_verify(struct log *log, uint64_t segment, uint64_t offset,
                       const struct payload_header *h, struct err *err) must_check;

/* --- segments, compaction, backup --- */

struct log_segment {
    uint64_t number;
    uint64_t size;
    uint64_t first_seq; /* 0 for external ones */
    enum {
        LOG_SEGMENT_REPLAY,
        LOG_SEGMENT_PAYLOAD,
        LOG_SEGMENT_EXTERNAL,
        LOG_SEGMENT_DROPPED
    } role;
    char name[40]; /* file name in the log directory */
};
/* each() for all segments in order of their numbers, the one being written last. */
int log_segments(struct log *log, int (*each)(void *ctx, const struct log_segment *s), void *ctx);

/* Compaction: a base is a chain of new segments, written aside, that begins with a dump of the
 * whole state and may hold moved payloads. Its frames get the sequence number `as_of` (the last
 * frame whose effect the dump contains) and follow no gap rule; log_base_finish syncs it and
 * switches the manifest atomically: replay then begins with the base and goes on with the frames
 * after as_of. Segments before become payload-only. Blocking (a worker may call these while the
 * loop thread does not touch the base; positions are final). It must be finished or aborted before
 * the log is closed. After a failed put only abort is left. Finish frees it in any case:
 * ERR_UNKNOWN closes the log for writing, after other errors the log is as before. */
struct log_base;
int log_base_begin(struct log *log, uint64_t as_of, struct log_base **ret,
                   struct err *err) must_check;
int log_base_put(struct log_base *b, uint16_t type, uint16_t version, struct span ops,
                 const struct span *payload, size_t payload_count, struct log_frame *ret,
                 struct err *err) must_check;
/* Worker, after the last put: syncs it, so that little is left to finish. */
int log_base_sync_run(struct log_base *b, struct err *err) must_check;
int log_base_finish(struct log_base *b, struct err *err) must_check; /* loop thread */
void log_base_abort(struct log_base *b);
/* A payload-only or external segment that nobody refers to: gone after grace_seconds (0: now), or
 * when no lease is out. */
int log_segment_drop(struct log *log, uint64_t number, uint64_t grace_seconds,
                     struct err *err) must_check;
/* Removes dropped segments whose time has come. */
int log_sweep(struct log *log, struct err *err) must_check;
void log_lease_take(struct log *log);
void log_lease_release(struct log *log);

/* What is durable now, to be read in a worker thread (log_replay, log_read, log_segments,
 * log_check) while the loop goes on with the log itself. Holds a lease. Open and close on the loop
 * thread, before the log is closed. */
struct log *log_view_open(struct log *log);
void log_view_close(struct log *view); /* NULL is allowed */

/* For reading message bytes of a log that another process has open: takes no lock, and finds
 * segments as they are asked for. Only log_read, log_segment_fd, log_idle and log_close. */
struct log *log_reader_open(const struct log_options *o, const char *dir);

/* The file of the manifest, as it is now: for a copy. */
int log_manifest_read(struct log *log, struct buf *to, struct err *err) must_check;

/* Verifies every header, operation and payload checksum, reading past what is damaged. payload_crc
 * checksums belong to the operations; the frame's own covers the whole payload. Blocking, worker.
 */
struct log_damage {
    uint64_t segment, offset, seq;
    /* "header", "operations", "payload"; "length": cut short; "gap": frames are missing before it;
     * "unreadable": I/O error; "segment header"; "file": the segment is missing; "manifest": one of
     * its two copies (segment 0), until it is written next */
    const char *what;
};
int log_check(struct log *log, void (*damage)(void *ctx, const struct log_damage *d),
              void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
              struct err *err) must_check;

uint64_t log_total_size(struct log *log);
int64_t log_free_space(struct log *log); /* of the file system; negative if unknown */

#endif
