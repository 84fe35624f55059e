/* Refuses and records connections that native code makes past Python: preloaded into every process. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void record(const char *what, const char *where) {
  const char *log = getenv("GUARD_LOG");
  int file = log ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
  if (file >= 0) {
    dprintf(file, "native %s %s\n", what, where);
    close(file);
  }
}

static int is_remote(const struct sockaddr *address, char *text, socklen_t size) {
  if (address == NULL) return 0;
  if (address->sa_family == AF_INET) {
    const struct in_addr *host = &((const struct sockaddr_in *)address)->sin_addr;
    inet_ntop(AF_INET, host, text, size);
    return (ntohl(host->s_addr) >> 24) != 127;
  }
  if (address->sa_family == AF_INET6) {
    const struct in6_addr *host = &((const struct sockaddr_in6 *)address)->sin6_addr;
    inet_ntop(AF_INET6, host, text, size);
    return !IN6_IS_ADDR_LOOPBACK(host);
  }
  return 0;
}

int connect(int handle, const struct sockaddr *address, socklen_t length) {
  static int (*real)(int, const struct sockaddr *, socklen_t);
  char text[64];
  if (is_remote(address, text, sizeof text)) {
    record("connect", text);
    errno = ENETUNREACH;
    return -1;
  }
  if (!real) real = dlsym(RTLD_NEXT, "connect");
  return real(handle, address, length);
}

ssize_t sendto(int handle, const void *data, size_t size, int flags, const struct sockaddr *address,
               socklen_t length) {
  static ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
  char text[64];
  if (is_remote(address, text, sizeof text)) {
    record("sendto", text);
    errno = ENETUNREACH;
    return -1;
  }
  if (!real) real = dlsym(RTLD_NEXT, "sendto");
  return real(handle, data, size, flags, address, length);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  if (host && strcmp(host, "localhost") && strcmp(host, "127.0.0.1") && strcmp(host, "::1")) {
    record("getaddrinfo", host);
    return EAI_FAIL;
  }
  if (!real) real = dlsym(RTLD_NEXT, "getaddrinfo");
  return real(host, service, hints, found);
}
