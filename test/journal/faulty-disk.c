/* Preloaded into a process under test: while the file named by FAULT_FILE is there, calls on the journal's file and its
   WAL fail as its two words say: which call (write or sync) and how (EIO, EROFS or ENOSPC). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int isJournal(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, "journal.db") != NULL;
}

static int fails(const char *call, int fd) {
  char what[16] = "", how[16] = "";
  const char *file = getenv("FAULT_FILE");
  FILE *fault = file == NULL ? NULL : fopen(file, "r");
  if (fault == NULL) return 0;
  int words = fscanf(fault, "%15s %15s", what, how);
  fclose(fault);
  if (words != 2 || strcmp(what, call) != 0 || !isJournal(fd)) return 0;
  errno = strcmp(how, "EROFS") == 0 ? EROFS : strcmp(how, "ENOSPC") == 0 ? ENOSPC : EIO;
  return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { return fails("sync", fd) ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return fails("sync", fd) ? -1 : NEXT(fdatasync)(fd); }
ssize_t write(int fd, const void *bytes, size_t count) {
  return fails("write", fd) ? -1 : NEXT(write)(fd, bytes, count);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  return fails("write", fd) ? -1 : NEXT(pwrite)(fd, bytes, count, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  return fails("write", fd) ? -1 : NEXT(pwrite64)(fd, bytes, count, at);
}
