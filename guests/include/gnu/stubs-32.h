/* Empty on purpose: lets glibc headers that a case's host half includes be read in its 32-bit guest build. */
