# From the documentation of Segment Anything in transformers 4.37.2 (Apache-2.0).
# Changed: the import, with SamConfig, which the document forgets.
from samari.sam import (
    SamConfig,
    SamVisionConfig,
    SamPromptEncoderConfig,
    SamMaskDecoderConfig,
    SamModel,
)

# Initializing a SamConfig with `"facebook/sam-vit-huge"` style configuration
configuration = SamConfig()

# Initializing a SamModel (with random weights) from the `"facebook/sam-vit-huge"` style configuration
model = SamModel(configuration)

# Accessing the model configuration
configuration = model.config

# We can also initialize a SamConfig from a SamVisionConfig, SamPromptEncoderConfig, and SamMaskDecoderConfig

# Initializing SAM vision, SAM Q-Former and language model configurations
vision_config = SamVisionConfig()
prompt_encoder_config = SamPromptEncoderConfig()
mask_decoder_config = SamMaskDecoderConfig()

config = SamConfig(vision_config, prompt_encoder_config, mask_decoder_config)
