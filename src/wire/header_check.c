/* wire/header_check.c: every public header compiles by itself and beside the others. */
#include "wire/command.h"

#include "wire/base64.h"
#include "wire/date.h"
#include "wire/flag.h"
#include "wire/frame.h"
#include "wire/lmtp.h"
#include "wire/match.h"
#include "wire/mutf7.h"
#include "wire/seqset.h"
#include "wire/write.h"

_Static_assert(CMD_COUNT < 64, "sets of commands fit a 64-bit mask");
