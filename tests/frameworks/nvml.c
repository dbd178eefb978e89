/* Stands in for NVIDIA's driver on machines without one: as much of nvml.h as ProML asks for, two devices.
   The second one tells neither power nor energy, as old devices. Every reading of the first finds more energy. */
#include <string.h>

typedef struct { unsigned int gpu, memory; } utilisation;
typedef struct { unsigned long long total, free, used; } memory;

static int devices[2];
static unsigned long long energy_mj = 5000000;

enum { SUCCESS = 0, NOT_SUPPORTED = 3 };

int nvmlInitWithFlags(unsigned int flags) { return SUCCESS; }
int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return "an error"; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) { *device = &devices[index]; return SUCCESS; }
int nvmlSystemGetDriverVersion(char *text, unsigned int length) { strncpy(text, "580.65.06", length); return SUCCESS; }

int nvmlDeviceGetName(void *device, char *text, unsigned int length) {
    strncpy(text, device == &devices[0] ? "NVIDIA H100" : "NVIDIA K80", length);
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, utilisation *rates) {
    rates->gpu = device == &devices[0] ? 90 : 10;
    rates->memory = 1;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *device, memory *found) {
    found->total = 80000000000ULL;
    found->used = 30000000000ULL;
    found->free = found->total - found->used;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts) {
    *milliwatts = 350000;
    return device == &devices[0] ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    *millijoules = energy_mj += 7000;
    return device == &devices[0] ? SUCCESS : NOT_SUPPORTED;
}
