/*
 * The metrics of the store: one list of names and units for every tool that writes them and for
 * docs/schema.md, which says in full what each means. hakd_put_metric refuses a unit that
 * contradicts this list; a name outside it is allowed (an experiment of one's own).
 */
#ifndef DB_METRICS_H
#define DB_METRICS_H

/* time pass */
#define HAKD_M_WALL_NS       "wall_ns"
#define HAKD_M_CPU_USER_NS   "cpu_user_ns"
#define HAKD_M_CPU_SYSTEM_NS "cpu_system_ns"
#define HAKD_M_OPS           "ops"
#define HAKD_M_NS_PER_OP     "ns_per_op"
/* time and account pass */
#define HAKD_M_MINOR_FAULTS       "minor_faults"
#define HAKD_M_MAJOR_FAULTS       "major_faults"
#define HAKD_M_BLOCKED_WAITS      "blocked_waits"
#define HAKD_M_FAILED_ALLOCATIONS "failed_allocations"
/* account pass */
#define HAKD_M_SYSCALLS                 "syscalls"
#define HAKD_M_SYSCALL_NS               "syscall_ns"
#define HAKD_M_FAULT_NS                 "fault_ns"
#define HAKD_M_CALL_FAULTS              "call_faults"
#define HAKD_M_KERNEL_NS                "kernel_ns"
#define HAKD_M_RELEASE_CALLS            "release_calls"
#define HAKD_M_PEAK_RESIDENT_BYTES      "peak_resident_bytes"
#define HAKD_M_MEAN_RESIDENT_BYTES      "mean_resident_bytes" /* weighted by ops */
#define HAKD_M_MEAN_RESIDENT_TIME_BYTES "mean_resident_time_bytes"
#define HAKD_M_END_RESIDENT_BYTES       "end_resident_bytes"
#define HAKD_M_END_LAZY_FREE_BYTES      "end_lazy_free_bytes"
#define HAKD_M_PEAK_LIVE_BYTES          "peak_live_bytes"
#define HAKD_M_MEAN_LIVE_BYTES          "mean_live_bytes"
#define HAKD_M_BASELINE_RESIDENT_BYTES  "baseline_resident_bytes"
/* latency pass, over all ops; by kind of op it is latency_OP_p50_ns and so on */
#define HAKD_M_LATENCY_P50_NS   "latency_p50_ns"
#define HAKD_M_LATENCY_P90_NS   "latency_p90_ns"
#define HAKD_M_LATENCY_P99_NS   "latency_p99_ns"
#define HAKD_M_LATENCY_P999_NS  "latency_p999_ns"
#define HAKD_M_LATENCY_MAX_NS   "latency_max_ns"
#define HAKD_M_LATENCY_MEAN_NS  "latency_mean_ns"
#define HAKD_M_LATENCY_STAMP_NS "latency_stamp_ns"
/* control pass */
#define HAKD_M_DRIVER_NS_PER_OP "driver_ns_per_op"
/* sim pass */
#define HAKD_M_PREDICTED_RELEASE_CALLS            "predicted_release_calls"
#define HAKD_M_PREDICTED_MAP_CALLS                "predicted_map_calls"
#define HAKD_M_PREDICTED_UNMAP_CALLS              "predicted_unmap_calls"
#define HAKD_M_PREDICTED_POPULATE_CALLS           "predicted_populate_calls"
#define HAKD_M_PREDICTED_RELEASED_BYTES           "predicted_released_bytes"
#define HAKD_M_PREDICTED_FAULTS                   "predicted_faults"
#define HAKD_M_PREDICTED_PEAK_RESIDENT_BYTES      "predicted_peak_resident_bytes"
#define HAKD_M_PREDICTED_MEAN_RESIDENT_BYTES      "predicted_mean_resident_bytes"
#define HAKD_M_PREDICTED_MEAN_RESIDENT_TIME_BYTES "predicted_mean_resident_time_bytes"
#define HAKD_M_PREDICTED_END_RESIDENT_BYTES       "predicted_end_resident_bytes"
#define HAKD_M_PREDICTED_RELEASED_RESIDENT_BYTES  "predicted_released_resident_bytes"
#define HAKD_M_PREDICTED_PEAK_LAZY_BYTES          "predicted_peak_lazy_bytes"
#define HAKD_M_PREDICTED_POPULATED_BYTES          "predicted_populated_bytes"
#define HAKD_M_PREDICTED_MOVED_BYTES              "predicted_moved_bytes"
#define HAKD_M_PREDICTED_ROUNDS                   "predicted_rounds"
#define HAKD_M_PREDICTED_COST_NS                  "predicted_cost_ns"
#define HAKD_M_SIM_NS                             "sim_ns"

/* Units, as they stand in metric.unit. */
#define HAKD_UNIT_NS        "ns"
#define HAKD_UNIT_NS_PER_OP "ns/op"
#define HAKD_UNIT_BYTES     "bytes"
#define HAKD_UNIT_CALLS     "calls"
#define HAKD_UNIT_FAULTS    "faults"
#define HAKD_UNIT_OPS       "ops"

struct hakd_metric_def {
    const char *name, *unit, *pass, *meaning;
};

/* The list above with units; ends with a NULL name. Any thread. */
extern const struct hakd_metric_def hakd_metric_defs[];

/* The unit of a listed metric, or NULL for a name outside the list. Any thread. */
const char *hakd_metric_unit(const char *name);

#endif
