// LASTROW_HD marks a function that also compiles for the device: arithmetic on values, no heap, no throw.
#pragma once

#if defined(__CUDACC__)
#define LASTROW_HD __host__ __device__
#else
#define LASTROW_HD
#endif
