/* Versions. STAPES_API_VERSION changes with the interface between generated code and runtime. */
#ifndef STAPES_VERSION_H
#define STAPES_VERSION_H

#define STAPES_VERSION     "0.1.0"
#define STAPES_API_VERSION 4

#endif
