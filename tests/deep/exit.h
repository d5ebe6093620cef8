/* children leave by _exit, which does not write what gcc --coverage has counted */
#include <unistd.h>

void __gcov_dump (void);

static inline void __attribute__ ((noreturn))
exit_counted (int status)
{
  __gcov_dump ();
  _exit (status);
}

#define _exit exit_counted
