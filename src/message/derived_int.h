/* message/derived_int.h: the layout of derived records, version 5. All numbers little-endian.
 *
 *   0  u8  magic 0xD4          1  u8  DERIVED_VERSION      2  u16 flags (REC_*)
 *   4  u32 length of record    8  u64 size of message     16  u64 length of message header
 *  24  i64 sent, UTC          32  i32 sent, day           36  i16 sent, zone   38  u16 parts
 *  40  u32 end of ENVELOPE (which begins at 72)
 *  44  u32 end of BODY        48  u32 end of BODYSTRUCTURE
 *  52  u32 end of fields      56  u32 end of part table
 *  60  u32 end of sort keys
 *  64  u32 end of charset names    68  u32 zero
 * and behind the charset names, to the end, the preview as IMAP sends it.
 *
 * Fields: u16 count, u16 zero, u64[2] Bloom filter of the names without an id, u64[2] missing ids
 * (only with REC_MISSING), then for each kept field u16 offset in the data, u8 id, u8 offset of the
 * value in the field; u16 end of the data, u16 zero; the data: raw fields in their order.
 *
 * Part: u8 kind, u8 encoding, u16 flags, u16 parent, u16 first child, u16 next sibling
 * (PART_NONE16: none), u16 number, u16 charset (offset of a u8 length and the name behind the part
 * table; 0xFFFF: none), u16 zero; then header offset, header length, body length, header lines,
 * body lines: u32 each, or u64 with REC_WIDE (message of 4 GiB or more). *
 * Sort keys: u16 flags (SORT_REPLY), u16 number of references, u16 lengths of six keys (base
 * subject; From, To, Cc: first mailbox; From, To: display), the keys as i;unicode-casemap compares
 * them; u64 Message-ID (0: none), u64 each reference: hashes. */
#ifndef MESSAGE_DERIVED_INT_H
#define MESSAGE_DERIVED_INT_H

#include "message/derived.h"

#define REC_MAGIC  0xD4
#define REC_HEADER 72

#define REC_BLANK      0x0003 /* enum derived_blank */
#define REC_NUL        0x0004
#define REC_8BIT_HEAD  0x0008
#define REC_8BIT_BODY  0x0010
#define REC_LIMITED    0x0020
#define REC_SENT       0x0040
#define REC_WIDE       0x0080
#define REC_MISSING    0x0100 /* some kept names were too long: the missing mask is there */
#define REC_HEADER_CUT 0x0200 /* the header was too long: what fields exist is not known */
#define REC_OTHERS     0x0400 /* there are fields without an id, or lines that are no field */

#define PART_NONE16   0xFFFF
#define PART_FIXED    16
#define PART_SIZE     (PART_FIXED + 5 * 4)
#define PART_SIZE_W   (PART_FIXED + 5 * 8)
#define PART_F_OPAQUE 0x0001
#define PART_F_ROOT   0x0002 /* of a message */

#define FIELD_ENTRY 4

#define SORT_HEADER 16
#define SORT_REPLY  0x0001

#endif
