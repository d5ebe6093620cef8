/*
 * count.c - a plug-in for qemu that counts instructions, those of user space and of the
 * kernel apart, in the sections that a program of the bench marks
 *
 * A mark is a long nop whose operand nobody else uses (bench.c): reset, begin, end, or print,
 * which appends "USER KERNEL" to the file that is the plug-in's argument. Debian has no
 * qemu-plugin.h; this declares what is used.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t plugin_id;
struct tb;
struct insn;

void qemu_plugin_register_vcpu_tb_trans_cb (plugin_id, void (*) (plugin_id, struct tb *));
void qemu_plugin_register_vcpu_tb_exec_inline (struct tb *, int op, void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb (struct insn *, void (*) (unsigned, void *), int flags, void *);
size_t qemu_plugin_tb_n_insns (const struct tb *);
struct insn *qemu_plugin_tb_get_insn (const struct tb *, size_t);
const void *qemu_plugin_insn_data (const struct insn *);
size_t qemu_plugin_insn_size (const struct insn *);
uint64_t qemu_plugin_tb_vaddr (const struct tb *);

int qemu_plugin_version = 1;

enum { USER, KERNEL, SPACES };

static FILE *out;
static uint64_t now [SPACES], sum [SPACES];

static void
mark (unsigned cpu, void *arg)
{
  enum { RESET, BEGIN, END } what = (intptr_t)arg;
  int k;

  if (what == RESET)
    memset (sum, 0, sizeof sum);
  else if (what <= END)
    for (k = 0; k < SPACES; ++k)
      sum [k] += what == END ? now [k] : -now [k];
  else
    {
      fprintf (out, "%" PRIu64 " %" PRIu64 "\n", sum [USER], sum [KERNEL]);
      fflush (out);
    }
}

static void
translate (plugin_id id, struct tb *tb)
{
  static const unsigned char nop [] = { 0x0f, 0x1f, 0x84, 0x00 }, name [] = { 'n', 'e', 'b' };
  size_t n = qemu_plugin_tb_n_insns (tb), k;

  qemu_plugin_register_vcpu_tb_exec_inline (tb, 0, now + (qemu_plugin_tb_vaddr (tb) >> 63 ? KERNEL : USER), n);

  for (k = 0; k < n; ++k)
    {
      struct insn *insn = qemu_plugin_tb_get_insn (tb, k);
      const unsigned char *data = qemu_plugin_insn_data (insn);

      if (qemu_plugin_insn_size (insn) == 8 && !memcmp (data, nop, 4) && !memcmp (data + 5, name, 3))
        qemu_plugin_register_vcpu_insn_exec_cb (insn, mark, 0, (void *)(intptr_t)data [4]);
    }
}

int
qemu_plugin_install (plugin_id id, const void *info, int argc, char **argv)
{
  /* "out=NAME" */
  if (argc != 1 || !(out = fopen (strchr (argv [0], '=') ? strchr (argv [0], '=') + 1 : argv [0], "w")))
    return 1;

  qemu_plugin_register_vcpu_tb_trans_cb (id, translate);
  return 0;
}
