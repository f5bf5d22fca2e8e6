// The camera's library, as much as a sketch uses of it.
#pragma once
#include <Arduino.h>

enum { YUV422 = 0, RGB444 = 1, RGB565 = 2, GRAYSCALE = 4 };
enum { OV7670 = 0, OV7675 = 1 };
enum { VGA = 0, CIF = 1, QVGA = 2, QCIF = 3, QQVGA = 4 };

class OV767X {
 public:
  int begin(int resolution, int format, int fps, int camera_name = OV7670);
  int width() const;
  int height() const;
  int bytesPerPixel() const;
  void readFrame(void* buffer);
};

extern OV767X Camera;
