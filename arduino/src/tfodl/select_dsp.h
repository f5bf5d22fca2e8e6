// Which inner loops have a version for the DSP instructions of Cortex-M4 and M7. Internal.
#pragma once

#if defined(__ARM_FEATURE_DSP) && !defined(TFODL_PORTABLE)
#define TFODL_DSP_CONV 0
#define TFODL_DSP_DEPTHWISE 0
#define TFODL_DSP_GRAD 0
#define TFODL_DSP_UPDATE 0
#else
#define TFODL_DSP_CONV 0
#define TFODL_DSP_DEPTHWISE 0
#define TFODL_DSP_GRAD 0
#define TFODL_DSP_UPDATE 0
#endif
