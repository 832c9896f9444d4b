//! The memory pool of an NVIDIA GPU, which candle's tensors come from (CUDA's stream-ordered allocator).

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::result::{device, mem_pool};
use candle_core::cuda_backend::cudarc::driver::sys::{CUmemPool_attribute, CUmemoryPool};
use candle_core::{Error, Result};

/// What a pool holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolBytes {
    /// Taken from the driver, in use or not.
    pub(crate) reserved: u64,
    /// In tensors.
    pub(crate) used: u64,
    /// The most that was in tensors at once since [`reset_most_used`].
    pub(crate) most_used: u64,
}

/// The pool that allocations come from.
fn pool(gpu: &CudaDevice) -> Result<CUmemoryPool> {
    let stream = gpu.cuda_stream();
    // SAFETY: the device is that of a context that is alive.
    unsafe { device::get_mem_pool(stream.context().cu_device()) }.map_err(Error::wrap)
}

fn get(pool: CUmemoryPool, attribute: CUmemPool_attribute) -> Result<u64> {
    let mut value = 0u64;
    // SAFETY: the pool is the device's, and the attributes that are asked for are 64-bit numbers.
    unsafe { mem_pool::get_attribute(pool, attribute, (&raw mut value).cast()) }.map_err(Error::wrap)?;
    Ok(value)
}

fn set(pool: CUmemoryPool, attribute: CUmemPool_attribute, mut value: u64) -> Result<()> {
    // SAFETY: as for `get`.
    unsafe { mem_pool::set_attribute(pool, attribute, (&raw mut value).cast()) }.map_err(Error::wrap)
}

/// Keeps what tensors have freed. By default a pool gives it back to the driver at each synchronisation, and each
/// decode step ends in one.
pub(crate) fn keep_freed(gpu: &CudaDevice) -> Result<()> {
    set(pool(gpu)?, CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX)
}

/// What the pool holds now.
pub(crate) fn pool_bytes(gpu: &CudaDevice) -> Result<PoolBytes> {
    let pool = pool(gpu)?;
    Ok(PoolBytes {
        reserved: get(pool, CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?,
        used: get(pool, CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?,
        most_used: get(pool, CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)?,
    })
}

/// Begins to look for the most that is used from now on.
#[cfg(test)]
pub(crate) fn reset_most_used(gpu: &CudaDevice) -> Result<()> {
    set(pool(gpu)?, CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0)
}
