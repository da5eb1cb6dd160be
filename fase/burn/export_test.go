package burn

// LimitCPUAt is LimitCPU with another /proc.
var LimitCPUAt = limitCPU
