// LASTROW_HD marks a function that also compiles for the device. It computes with values only: it uses no
// heap and throws nothing.
#pragma once

#if defined(__CUDACC__)
#define LASTROW_HD __host__ __device__
#else
#define LASTROW_HD
#endif
