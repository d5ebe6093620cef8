/* the libev under test, embedded as one translation unit; ev.c is found with -I */
#define EV_STANDALONE   1
#define EV_USE_LINUXAIO 1

#include "ev.c"
