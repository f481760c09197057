variable "name" {
  description = "Name of the bucket, without the environment."
  type        = string
}

variable "environment" {
  description = "dev, staging or prod."
  type        = string
}

variable "data_class" {
  description = "public, internal or personal."
  type        = string

  validation {
    condition     = contains(["public", "internal", "personal"], var.data_class)
    error_message = "The data is public, internal or personal."
  }
}

variable "readers" {
  description = "Teams that read the bucket besides its owners."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "versioning" {
  description = "Whether earlier versions of a file are kept."
  type        = bool
  default     = true
  nullable    = false
}

variable "expire_days" {
  description = "After how many days files are deleted; null keeps them."
  type        = number
  default     = null
}
